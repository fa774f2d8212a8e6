// What a kernel complains about, told apart from what it says because nobody let it run.

const COMPLAINT = /BUG|WARNING|Oops|I\/O error|hung task|snapshots: Invalid/;
/**
 * Watchdogs measure real time, and a lab is a guest: when the host is busy, its processors stand still for seconds and these speak,
 * whatever runs in it.
 */
const STARVED =
  /soft lockup|hard LOCKUP|workqueue lockup|hrtimer: interrupt took|rcu: INFO: rcu_\w+ (?:self-)?detected (?:stall|expedited)|clocksource: .*watchdog|sched_clock: /i;
const TIME = /^\[ *(\d+\.\d+)\] ?(.*)$/;

/**
 * @param log as dmesg(1) prints it, with seconds since the boot in front
 * @param sinceSeconds what came before is left out
 * @returns lines that tell of a fault
 */
export function complaintsOf(log: string, sinceSeconds: number): string[] {
  return log.split('\n').filter((line) => {
    const [, seconds = '', text = ''] = TIME.exec(line) ?? [];
    return Number(seconds) > sinceSeconds && COMPLAINT.test(text) && !STARVED.test(text);
  });
}
