import { LIMITS } from '../limits.ts';
import type { Settings } from './setting.ts';

export const workDiskSettings = {
  workDiskBytes: {
    kind: 'disk',
    flag: 'disk-size',
    name: 'work disk',
    meaning: 'size of the work disk at /root, bytes',
    help: 'work disk at /root',
    range: LIMITS.diskBytes,
    default: 8 * 1024 ** 3,
    needsStop: true,
    onlyGrows: true,
    leastOf: (image) => image.workSeedBytes,
    label: 'work disk',
    column: { title: 'DISK', in: 'table' },
  },
} as const satisfies Settings;
