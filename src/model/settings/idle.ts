import { parseSchedule } from '../../lib/schedule.ts';
import type { Settings } from './setting.ts';

/** Longer is as good as never. */
const RANGE = { min: 0, max: 366 * 86_400 };

/** What becomes of a VM that nobody uses, and when it comes back by itself. */
export const idleSettings = {
  pauseAfterSeconds: {
    kind: 'duration',
    flag: 'pause-after',
    name: 'time until it is paused',
    meaning: 'pause the VM when nobody used it for so many seconds; 0: never',
    help: 'pause it when nobody used it for so long, such as 10m, or never',
    range: RANGE,
    default: null,
    needsStop: false,
    label: 'pause after',
  },
  suspendAfterSeconds: {
    kind: 'duration',
    flag: 'suspend-after',
    name: 'time until it is suspended',
    meaning: 'suspend the VM when nobody used it for so many seconds; 0: never',
    help: 'suspend it when nobody used it for so long, such as 1h, or never',
    range: RANGE,
    default: null,
    needsStop: false,
    label: 'suspend after',
  },
  wakeAt: {
    kind: 'text',
    flag: 'wake-at',
    name: 'schedule of waking up',
    meaning: 'when to wake it, as five fields of cron in local time; empty: never',
    help: "wake it when it is paused or suspended, such as '0 7 * * 1-5' (as cron, local time), or never",
    placeholder: 'schedule',
    default: null,
    problemOf: (text) => {
      const parsed = parseSchedule(text);
      return 'problem' in parsed ? parsed.problem : undefined;
    },
    needsStop: false,
    label: 'wakes at',
  },
} as const satisfies Settings;
