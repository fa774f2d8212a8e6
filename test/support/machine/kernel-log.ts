// Finds a kernel's complaints in its log, without those that only mean that the kernel could not run.

const COMPLAINT = /BUG|WARNING|Oops|I\/O error|hung task|snapshots: Invalid/;
/**
 * Watchdogs measure real time, and a lab is a guest: if the host is busy, its processors stand still for seconds and these report it,
 * whatever runs in it.
 */
const STARVED =
  /soft lockup|hard LOCKUP|workqueue lockup|hrtimer: interrupt took|rcu: INFO: rcu_\w+ (?:self-)?detected (?:stall|expedited)|clocksource: .*watchdog|sched_clock: /i;
const TIME = /^\[ *(\d+\.\d+)\] ?(.*)$/;

/**
 * @param log as dmesg(1) prints it, with seconds since the boot in front
 * @param sinceSeconds ignores earlier lines
 * @returns lines that report a fault
 */
export function complaintsOf(log: string, sinceSeconds: number): string[] {
  return log.split('\n').filter((line) => {
    const [, seconds = '', text = ''] = TIME.exec(line) ?? [];
    return Number(seconds) > sinceSeconds && COMPLAINT.test(text) && !STARVED.test(text);
  });
}
