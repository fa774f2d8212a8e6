import { readFileSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process, safe against pid reuse. */
export type ProcessIdentity = { pid: number; startTicks: number };

/**
 * @returns field 22 of /proc/PID/stat (proc(5)), or undefined when there is no such process or it is a zombie
 * @throws when it cannot be read (EMFILE): then nobody knows, and what may live is not to be taken for dead
 */
export function startTicksOf(pid: number): number | undefined {
  const fields = statFields(pid);
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return Number(fields[19]);
}

/** @returns the fields of /proc/PID/stat from the state on; the command name before them may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    return absent(error, undefined);
  }
}

/** What the kernel says of a process that is not there (proc(5)); anything else says nothing about the process. */
function absent<T>(error: unknown, value: T): T {
  if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return value;
  throw error;
}

/** USER_HZ, in which /proc counts: 100 on every architecture that Linux still has but alpha (proc(5), times). */
const TICK_MS = 10;

/**
 * What a process has used since it began. Resident memory, not the proportional kind: a VM's memory is its own, and to share
 * it out the kernel would have to walk every page.
 * @returns undefined when exactly this process does not run any more
 */
export async function processUsage(identity: ProcessIdentity): Promise<{ cpuMs: number; residentBytes: number } | undefined> {
  const status = await readFile(`/proc/${identity.pid}/status`, 'latin1').catch(() => '');
  // Read after the memory, so that it tells whose that was.
  const fields = statFields(identity.pid);
  const residentKib = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
  if (fields === undefined || residentKib === undefined || Number(fields[19]) !== identity.startTicks) return undefined;
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, residentBytes: Number(residentKib) * 1024 };
}

/**
 * How long a process has computed, and how long it has waited for a processor, since it began.
 * @returns undefined when it is gone, stopped, or waits for a disk, in which case what it does is not its own choice
 */
export async function processActivity({ pid }: ProcessIdentity): Promise<{ cpuMs: number; waitedMs: number } | undefined> {
  const sum = { cpuMs: 0, waitedMs: 0 };
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const [stat, schedstat] = await Promise.all(
        ['stat', 'schedstat'].map((name) => readFile(`/proc/${pid}/task/${task}/${name}`, 'latin1').catch(() => '')),
      );
      if (stat === '' || stat === undefined) continue;
      if (/^.*\) [DTt]/s.test(stat)) return undefined;
      // sched-stats.rst of Linux: nanoseconds on a processor, nanoseconds waiting for one.
      const [ranNs = 0, waitedNs = 0] = (schedstat ?? '').split(' ').map(Number);
      sum.cpuMs += ranNs / 1e6;
      sum.waitedMs += waitedNs / 1e6;
    }
  } catch {
    return undefined;
  }
  return sum.cpuMs === 0 ? undefined : sum;
}

/** @returns whether exactly this process still runs. @throws when it cannot be looked at */
export function isAlive(identity: ProcessIdentity): boolean {
  return identity.pid > 1 && startTicksOf(identity.pid) === identity.startTicks;
}

/** Sends `signal` if exactly this process still runs. @returns whether it was sent */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** @returns whether the process ended within `timeoutMs`. */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await sleep(15);
  }
  return true;
}

/** SIGTERM, a grace period, SIGKILL; returns when the process is gone. @returns false if it survived all that */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<boolean> {
  signalProcess(identity, 'SIGTERM');
  if (await waitForExit(identity, graceMs)) return true;
  // One of another user, like a VMM in a jail, cannot be signalled; waiting would not end it.
  if (!signalProcess(identity, 'SIGKILL')) return !isAlive(identity);
  return waitForExit(identity, 5000);
}

/** @returns the id of this boot of the host; differs after every reboot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** @returns every process that has exactly this word in its command line (proc(5), /proc/PID/cmdline). @throws when they cannot be looked at */
export function processesWithArgument(argument: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const startTicks = startTicksOf(Number(name));
    if (startTicks === undefined || !commandLineOf(name).includes(argument)) continue;
    const identity = { pid: Number(name), startTicks };
    // Looked at once more, in case the pid changed hands between the two reads.
    if (isAlive(identity)) found.push(identity);
  }
  return found;
}

function commandLineOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    // Those of others may be hidden (hidepid), and none of them is one of ours.
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? [] : absent(error, []);
  }
}
