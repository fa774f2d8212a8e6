import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { MachineExit } from '../contract.ts';

/** How often a process is looked at that this daemon did not start and whose socket still says nothing. */
const WATCH_INTERVAL_MS = 1000;
/** For this long after its socket closed QEMU is surely only ending; longer means that the daemon let go of it. */
const ENDING_MS = 1000;
const ENDING_INTERVAL_MS = 10;
/** The status of a dead child arrives within a turn of the event loop. */
const STATUS_LIMIT_MS = 200;

/** What QEMU said in its SHUTDOWN event (ShutdownCause of qapi/run-state.json). */
const CAUSES: Record<string, MachineExit['cause']> = {
  'guest-shutdown': 'guest-poweroff',
  'guest-reset': 'guest-reset',
  'guest-panic': 'guest-panic',
  'host-qmp-quit': 'host-request',
  'host-signal': 'host-request',
};

/** What is known about an end, in the order of trust. */
export type ExitEvidence = {
  /** `reason` of the SHUTDOWN event. */
  shutdownReason?: string;
  /** Whether this driver ended it. */
  terminated: boolean;
  /** Exit status, when the daemon is the parent. */
  status?: ProcessStatus;
};

/** @returns the cause as far as the evidence goes. */
export function judgeExit(evidence: ExitEvidence): MachineExit {
  const { shutdownReason, status } = evidence;
  const cause = shutdownReason === undefined ? undefined : CAUSES[shutdownReason];
  if (cause !== undefined) return { cause, detail: `QEMU reported ${shutdownReason}` };
  if (evidence.terminated) return { cause: 'host-request', detail: 'ended by the host' };
  if (status === undefined) return { cause: 'unknown', detail: 'the process is gone and left no reason' };
  if (status.signal !== null) return { cause: 'crash', detail: `ended by ${status.signal}` };
  if (status.exitCode === 0) return { cause: 'unknown', detail: 'ended with status 0 and left no reason' };
  return { cause: 'crash', detail: `ended with status ${status.exitCode}` };
}

export type ProcessStatus = { exitCode: number | null; signal: NodeJS.Signals | null };

/**
 * Waits for the end of a VMM: a closed control socket announces it, the process table confirms it, and the status comes
 * only to the daemon that started it.
 * @param ownChild the exit of the child, when this daemon is the parent
 * @returns the status, when it can be had
 */
export async function waitForVmmExit(
  host: Host,
  identity: ProcessIdentity,
  controlClosed: Promise<void>,
  ownChild?: Promise<ProcessStatus>,
): Promise<ProcessStatus | undefined> {
  let closedAt: number | undefined;
  const closing = controlClosed.then(() => void (closedAt = performance.now()));
  while (host.isAlive(identity)) {
    const ending: boolean = closedAt !== undefined && performance.now() - closedAt < ENDING_MS;
    // Children and long waits do not keep a daemon alive that has nothing else to do: the VM runs on without it.
    const tick = sleep(ending ? ENDING_INTERVAL_MS : WATCH_INTERVAL_MS, undefined, { ref: ending });
    await Promise.race([tick, ...(closedAt === undefined ? [closing] : []), ...(ownChild === undefined ? [] : [ownChild])]);
  }
  return ownChild === undefined ? undefined : Promise.race([ownChild, sleep(STATUS_LIMIT_MS, undefined)]);
}

/** Ends QEMU at once; it has nothing to save, since writes of a durable disk are in the page cache already. */
export async function killProcess(host: Host, identity: ProcessIdentity): Promise<boolean> {
  return host.endProcess(identity, 1000);
}
