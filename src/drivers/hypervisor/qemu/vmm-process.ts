import type { Host } from '../../../host/host.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { MachineExit } from '../contract.ts';
import { type ProcessStatus, isForbiddenCall } from '../process-end.ts';

/** What QEMU said in its SHUTDOWN event (ShutdownCause of qapi/run-state.json). */
const CAUSES: Record<string, MachineExit['cause']> = {
  'guest-shutdown': 'guest-poweroff',
  'guest-reset': 'guest-reset',
  'guest-panic': 'guest-panic',
  'host-qmp-quit': 'host-request',
  'host-signal': 'host-request',
};

/** What is known about the end of a VMM, the most trustworthy first. */
export type ExitEvidence = {
  /** `reason` of the SHUTDOWN event. */
  shutdownReason?: string;
  /** Whether this driver ended it. */
  terminated: boolean;
  /** Exit status, if the daemon is the parent. */
  status?: ProcessStatus;
};

/** @returns the most likely cause */
export function judgeExit(evidence: ExitEvidence): MachineExit {
  const { shutdownReason, status } = evidence;
  const cause = shutdownReason === undefined ? undefined : CAUSES[shutdownReason];
  if (cause !== undefined) return { cause, detail: `QEMU reported ${shutdownReason}` };
  if (evidence.terminated) return { cause: 'host-request', detail: 'ended by the host' };
  if (status === undefined) return { cause: 'unknown', detail: 'the process ended without a reason' };
  if (isForbiddenCall(status)) return { cause: 'forbidden-call', detail: 'it made a system call that its filter forbids' };
  if (status.signal !== null) return { cause: 'crash', detail: `ended by ${status.signal}` };
  if (status.exitCode === 0) return { cause: 'unknown', detail: 'ended with status 0 and without a reason' };
  return { cause: 'crash', detail: `ended with status ${status.exitCode}` };
}

/** Ends QEMU at once; it has nothing to save, because writes to a durable disk are already in the page cache. */
export async function killProcess(host: Host, identity: ProcessIdentity): Promise<boolean> {
  return host.endProcess(identity, 1000);
}
