import type { Timer } from './timer.ts';

/** As systemd's StartLimitBurst: a guest that reboots more often in this time is in a loop. */
export const REBOOT_LIMIT = { count: 5, windowMs: 5 * 60_000 } as const;

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;

/** Delays guests that reboot themselves again and again, so that their loop costs the host little. */
export type Reboots = {
  /**
   * Call once for every reboot.
   * @returns how long to wait before the next boot: 0 at first, then longer each time; undefined if the guest reboots too often
   */
  delayMs(vmId: string): number | undefined;
  /** Calls `boot` after the delay, unless cancelled before. */
  schedule(vmId: string, delayMs: number, boot: () => void): void;
  /** Call when a verb decides what happens to the VM. @returns whether the VM was waiting */
  cancel(vmId: string): boolean;
  /** @returns ids of the VMs that were waiting; they do not boot */
  end(): string[];
};

/** @param nowMs a monotonic clock */
export function createReboots(nowMs: () => number, timer: Timer): Reboots {
  const recent = new Map<string, number[]>();
  const waiting = new Map<string, () => void>();
  const cancel = (vmId: string): boolean => {
    waiting.get(vmId)?.();
    return waiting.delete(vmId);
  };
  return {
    delayMs(vmId) {
      const now = nowMs();
      // Forgets old reboots of all VMs, so that deleted VMs leave nothing here.
      for (const [id, times] of recent) {
        const young = times.filter((time) => now - time < REBOOT_LIMIT.windowMs);
        if (young.length === 0) recent.delete(id);
        else recent.set(id, young);
      }
      const times = recent.get(vmId) ?? [];
      if (times.length >= REBOOT_LIMIT.count) return void recent.delete(vmId);
      recent.set(vmId, [...times, now]);
      return times.length === 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (times.length - 1), LONGEST_DELAY_MS);
    },
    schedule(vmId, delayMs, boot) {
      cancel(vmId);
      const disarm = timer(() => {
        waiting.delete(vmId);
        boot();
      }, delayMs);
      waiting.set(vmId, disarm);
    },
    cancel,
    end: () => [...waiting.keys()].filter(cancel),
  };
}
