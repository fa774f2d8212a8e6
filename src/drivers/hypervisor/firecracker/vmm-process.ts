import type { MachineExit } from '../contract.ts';
import { type ProcessStatus, isForbiddenCall } from '../process-end.ts';

/** What the guest said before the reset: the VMM only sees a reset. */
export type LastWord = 'poweroff' | 'reboot';

/** What is known about the end of a VMM. */
export type ExitEvidence = {
  /** Whether this driver ended it. */
  terminated: boolean;
  /** Whether this driver pressed Ctrl-Alt-Del, its only way to ask; the guest answers with a reboot. */
  shutdownAsked: boolean;
  lastWord?: LastWord;
  /** Exit status, if the daemon is the parent. */
  status?: ProcessStatus;
};

/** The VMM handles the signal of a forbidden system call and exits; a filter that kills the process leaves no time for that. */
const BAD_SYSCALL = 148;

/** Exit statuses of Firecracker (FcExitCode in src/vmm/src/lib.rs). */
const MEANINGS: Record<number, string> = {
  1: 'it could not continue: the guest had a triple fault or reset in an unusual way, or Firecracker itself failed',
  2: 'it had an internal error',
  [BAD_SYSCALL]: 'it made a system call that its filter forbids',
  149: 'it could not access a file or memory (SIGBUS); the host may be out of disk or memory',
  150: 'it accessed invalid memory (SIGSEGV)',
  151: 'a file would have grown beyond its limit (SIGXFSZ)',
  152: 'its configuration is wrong',
  153: 'its arguments are wrong',
  154: 'it exceeded its CPU time limit (SIGXCPU)',
  156: 'its terminal was closed (SIGHUP)',
  157: 'it used an instruction that this processor does not have (SIGILL)',
};

/** @returns how a process ended, in words */
export function describeStatus({ exitCode, signal }: ProcessStatus): string {
  if (signal !== null) return `ended by ${signal}`;
  const meaning = exitCode === null ? undefined : MEANINGS[exitCode];
  return meaning === undefined ? `ended with status ${exitCode}` : `ended with status ${exitCode}: ${meaning}`;
}

/** @returns the most likely cause */
export function judgeExit(evidence: ExitEvidence): MachineExit {
  const { status, terminated } = evidence;
  if (status?.exitCode === 0) return judgeReset(evidence);
  if (terminated) return { cause: 'host-request', detail: 'ended by the host' };
  if (status !== undefined) {
    const isForbidden = status.exitCode === BAD_SYSCALL || isForbiddenCall(status);
    return { cause: isForbidden ? 'forbidden-call' : 'crash', detail: describeStatus(status) };
  }
  if (evidence.lastWord !== undefined) return judgeReset(evidence);
  return { cause: 'unknown', detail: 'the process ended without a reason' };
}

function judgeReset({ lastWord, shutdownAsked }: ExitEvidence): MachineExit {
  if (lastWord === 'poweroff') return { cause: 'guest-poweroff', detail: 'the guest powered off' };
  if (shutdownAsked) return { cause: 'guest-poweroff', detail: 'the guest shut down when asked' };
  if (lastWord === 'reboot') return { cause: 'guest-reset', detail: 'the guest rebooted' };
  return { cause: 'guest-reset', detail: 'the guest reset without a message: by force, or after a panic' };
}
