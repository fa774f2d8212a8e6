import { readFileSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process identity that is safe against pid reuse. */
export type ProcessIdentity = { pid: number; startTicks: number };

/**
 * @returns field 22 of /proc/PID/stat (proc(5)), or undefined if there is no such process or it is a zombie
 * @throws if it cannot be read (EMFILE): then it is unknown, and a process that may live must not count as dead
 */
export function startTicksOf(pid: number): number | undefined {
  const fields = statFields(pid);
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return Number(fields[19]);
}

/** @returns the fields of /proc/PID/stat from the state on; the command name before them may contain any character */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    return absent(error, undefined);
  }
}

/** The kernel's error for a missing process (proc(5)); any other error says nothing about the process. */
function absent<T>(error: unknown, value: T): T {
  if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return value;
  throw error;
}

/** USER_HZ, the unit of /proc: 100 on every architecture that Linux still has, except alpha (proc(5), times). */
const TICK_MS = 10;

/**
 * What a process has used since its start. Resident memory, not proportional memory: a VM shares little, and the kernel would have to walk
 * every page to share it out.
 * @returns undefined if exactly this process no longer runs
 */
export async function processUsage(identity: ProcessIdentity): Promise<{ cpuMs: number; residentBytes: number } | undefined> {
  const status = await readFile(`/proc/${identity.pid}/status`, 'latin1').catch(() => '');
  // Read after the memory, to know whose memory it was.
  const fields = statFields(identity.pid);
  const residentKib = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
  if (fields === undefined || residentKib === undefined || Number(fields[19]) !== identity.startTicks) return undefined;
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, residentBytes: Number(residentKib) * 1024 };
}

/** Memory that new programs can get without swapping, as the kernel estimates it. */
export async function availableMemoryBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'latin1');
  return Number(/^MemAvailable:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/**
 * Lets a process, with all its threads, yield to others, or ends that again. A lower priority of threads could not be taken back without
 * root, but that of their session can (sched(7), autogroup). Where the kernel has no such groups, nothing happens.
 */
export async function setBackground({ pid }: ProcessIdentity, isBackground: boolean): Promise<void> {
  for (let attempt = 0; attempt < AUTOGROUP_ATTEMPTS; attempt++) {
    try {
      await writeFile(`/proc/${pid}/autogroup`, isBackground ? BACKGROUND_NICE : '0');
      return;
    } catch (error) {
      // The kernel takes ten changes a second, of all users together.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      await sleep(AUTOGROUP_PAUSE_MS);
    }
  }
}

/** A tenth of what others get: with less, a host that is busy for hours would never let it end. */
const BACKGROUND_NICE = '10';
const AUTOGROUP_ATTEMPTS = 20;
const AUTOGROUP_PAUSE_MS = 50;

/**
 * How long a process has computed, and how long it has waited for a processor, since its start.
 * @returns undefined if it has ended, is stopped, or waits for a disk: then it is not idle by its own choice
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

/** @returns whether exactly this process still runs. @throws if that cannot be found out */
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

/** @returns whether the process ended within `timeoutMs` */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await sleep(15);
  }
  return true;
}

/** SIGTERM, a grace period, SIGKILL; returns once the process has ended. @returns false if it survived all that */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<boolean> {
  signalProcess(identity, 'SIGTERM');
  if (await waitForExit(identity, graceMs)) return true;
  // A process of another user, like a VMM in a jail, cannot be signalled; waiting would not end it.
  if (!signalProcess(identity, 'SIGKILL')) return !isAlive(identity);
  return waitForExit(identity, 5000);
}

/** @returns the id of this boot of the host; it changes with every reboot */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** @returns every process with exactly this word in its command line (proc(5), /proc/PID/cmdline). @throws if they cannot be read */
export function processesWithArgument(argument: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const startTicks = startTicksOf(Number(name));
    if (startTicks === undefined || !commandLineOf(name).includes(argument)) continue;
    const identity = { pid: Number(name), startTicks };
    // Check again, in case the pid changed hands between the two reads.
    if (isAlive(identity)) found.push(identity);
  }
  return found;
}

/** @returns the words of its command line, with an empty one at the end; none when it is not there, or hidden */
export function commandLineOf(pid: number | string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    // Processes of other users may be hidden (hidepid); none of them is banger's.
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? [] : absent(error, []);
  }
}
