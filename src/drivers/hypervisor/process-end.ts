import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessIdentity } from '../../model/vm.ts';

/** How often a process is looked at that this daemon did not start and whose socket still says nothing. */
const WATCH_INTERVAL_MS = 1000;
/** For this long after its socket closed a VMM is surely only ending; longer means that the daemon let go of it. */
const ENDING_MS = 1000;
const ENDING_INTERVAL_MS = 10;
/** The status of a dead child arrives within a turn of the event loop. */
const STATUS_LIMIT_MS = 200;

/** What this needs of the Host. */
type ProcessTable = { isAlive(identity: ProcessIdentity): boolean };

export type ProcessStatus = { exitCode: number | null; signal: NodeJS.Signals | null };

/** @returns whether the kernel ended it for a system call that its filter forbids (seccomp(2)); a VMM may tell so in its own way */
export function isForbiddenCall({ signal }: ProcessStatus): boolean {
  return signal === 'SIGSYS';
}

/** One that cannot be looked at, as when the daemon has too many files open, is not taken for dead. */
function mayLive(processes: ProcessTable, identity: ProcessIdentity): boolean {
  try {
    return processes.isAlive(identity);
  } catch {
    return true;
  }
}

/**
 * Waits for the end of a VMM: a closed control socket announces it, the process table confirms it, and the status comes
 * only to the daemon that started it.
 * @param processes the Host
 * @param ownChild the exit of the child, when this daemon is the parent
 * @returns the status, when it can be had
 */
export async function waitForVmmExit(
  processes: ProcessTable,
  identity: ProcessIdentity,
  controlClosed: Promise<void>,
  ownChild?: Promise<ProcessStatus>,
): Promise<ProcessStatus | undefined> {
  let closedAt: number | undefined;
  const closing = controlClosed.then(() => void (closedAt = performance.now()));
  while (mayLive(processes, identity)) {
    const ending: boolean = closedAt !== undefined && performance.now() - closedAt < ENDING_MS;
    // Children and long waits do not keep a daemon alive that has nothing else to do: the VM runs on without it.
    const tick = sleep(ending ? ENDING_INTERVAL_MS : WATCH_INTERVAL_MS, undefined, { ref: ending });
    await Promise.race([tick, ...(closedAt === undefined ? [closing] : []), ...(ownChild === undefined ? [] : [ownChild])]);
  }
  return ownChild === undefined ? undefined : Promise.race([ownChild, sleep(STATUS_LIMIT_MS, undefined)]);
}
