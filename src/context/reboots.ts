import type { Timer } from './timer.ts';

/** As systemd's StartLimitBurst: a guest that reboots more often in this time is in a loop, not at work. */
export const REBOOT_LIMIT = { count: 5, windowMs: 5 * 60_000 } as const;

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;

/** Holds guests back that reboot themselves again and again, so that a loop of their own costs the host little. */
export type Reboots = {
  /**
   * To be asked once for every reboot.
   * @returns how long the VM is to wait before it is booted again, longer each time but 0 at first; undefined: it is too often
   */
  delayMs(vmId: string): number | undefined;
  /** Calls `boot` after the delay, unless it is cancelled before. */
  schedule(vmId: string, delayMs: number, boot: () => void): void;
  /** To be called when somebody decides what becomes of the VM. @returns whether it was waiting */
  cancel(vmId: string): boolean;
  /** @returns ids of the VMs that were waiting and are not booted */
  end(): string[];
};

/** @param nowMs a clock that never goes back */
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
      // What is over is forgotten for all, so that deleted VMs leave nothing here.
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
