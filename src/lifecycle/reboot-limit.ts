/** As systemd's StartLimitBurst: a guest that reboots more often in this time is in a loop, not at work. */
export const REBOOT_LIMIT = { count: 5, windowMs: 5 * 60_000 } as const;

/** Says when a guest has rebooted itself too often, so that a loop of its own costs the host no more than its first turns. */
export type RebootLimit = {
  /** To be asked once for every reboot. @returns whether the VM may be booted again */
  allows(vmId: string): boolean;
};

/** @param nowMs a clock that never goes back */
export function createRebootLimit(nowMs: () => number): RebootLimit {
  const recent = new Map<string, number[]>();
  return {
    allows(vmId) {
      const now = nowMs();
      // What is over is forgotten for all, so that deleted VMs leave nothing here.
      for (const [id, times] of recent) {
        const young = times.filter((time) => now - time < REBOOT_LIMIT.windowMs);
        if (young.length === 0) recent.delete(id);
        else recent.set(id, young);
      }
      const times = recent.get(vmId) ?? [];
      if (times.length >= REBOOT_LIMIT.count) return recent.delete(vmId) && false;
      recent.set(vmId, [...times, now]);
      return true;
    },
  };
}
