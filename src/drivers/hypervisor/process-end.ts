import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessIdentity } from '../../model/vm.ts';

/** The polling interval for a process that is not a child of this daemon, while its socket stays open. */
const WATCH_INTERVAL_MS = 1000;
/** For this long after its socket closed, a VMM is certainly only ending; longer means that the daemon closed the socket. */
const ENDING_MS = 1000;
const ENDING_INTERVAL_MS = 10;
/** The status of a dead child arrives within one turn of the event loop. */
const STATUS_LIMIT_MS = 200;

/** What this file needs of the Host. */
type ProcessTable = { isAlive(identity: ProcessIdentity): boolean };

export type ProcessStatus = { exitCode: number | null; signal: NodeJS.Signals | null };

/** @returns whether the kernel ended it for a forbidden system call (seccomp(2)); a VMM may report such an end in its own way */
export function isForbiddenCall({ signal }: ProcessStatus): boolean {
  return signal === 'SIGSYS';
}

/** A process that cannot be examined, for example because the daemon has too many files open, does not count as dead. */
function mayLive(processes: ProcessTable, identity: ProcessIdentity): boolean {
  try {
    return processes.isAlive(identity);
  } catch {
    return true;
  }
}

/**
 * Waits for the end of a VMM. A closed control socket announces it, the process table confirms it, and only the daemon that started the VMM
 * gets the status.
 * @param processes the Host
 * @param ownChild the exit of the child, if this daemon is the parent
 * @returns the status, if available
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
