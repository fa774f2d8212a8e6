import { LIMITS } from '../limits.ts';
import type { Settings } from './setting.ts';

export const rootOverlaySettings = {
  rootOverlayBytes: {
    kind: 'disk',
    flag: 'system-overlay-size',
    name: 'root file system',
    meaning: 'virtual size of the root file system, bytes',
    help: 'root file system',
    range: LIMITS.diskBytes,
    default: 8 * 1024 ** 3,
    needsStop: true,
    onlyGrows: true,
    leastOf: (image) => image.rootfsBytes,
    label: 'root overlay',
  },
} as const satisfies Settings;
