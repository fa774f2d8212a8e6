import { BangerError } from './errors.ts';

/** Where a VM is in its life. `error` keeps its disks and can be started, killed or deleted. */
export const VM_STATES = ['creating', 'stopped', 'starting', 'running', 'stopping', 'error', 'deleting'] as const;
export type VmState = (typeof VM_STATES)[number];

export type VmAction = 'start' | 'stop' | 'kill' | 'delete' | 'set' | 'exec';

/** `go`: do it; `nothing`: it is so already; a sentence: refuse with this reason. */
type Answer = 'go' | 'nothing' | { refuse: string; remedy?: string };

const busy = (doing: string): Answer => ({ refuse: `is ${doing}`, remedy: 'banger vm wait NAME' });
/** Another delete waits for the one that is under way, and finishes one that was broken off. */
const unmade: Answer = { refuse: 'is being deleted', remedy: 'banger vm delete NAME' };
const notRunning: Answer = { refuse: 'is not running', remedy: 'banger vm start NAME' };

/** What the next daemon does with a VM that it finds: leave it, remove it, stop it, or take over what may run. */
export type VmRecovery = 'leave' | 'remove' | 'stop' | 'adopt';

type StateRow = {
  /** States that may follow; staying is no move. */
  next: readonly VmState[];
  /** From the time on that it is written down when it started, somebody may work in it. A stop, though, was asked for. */
  recovery: { unused: VmRecovery; inUse: VmRecovery };
  answers: Record<VmAction, Answer>;
};

const always = (recovery: VmRecovery): StateRow['recovery'] => ({ unused: recovery, inUse: recovery });

/** The one table of states; adding a state or an action does not compile until it says everything about both. */
const STATES: Record<VmState, StateRow> = {
  creating: {
    next: ['stopped', 'running', 'error', 'deleting'],
    recovery: always('remove'),
    answers: {
      start: busy('being created'),
      stop: busy('being created'),
      kill: busy('being created'),
      delete: 'go',
      set: busy('being created'),
      exec: busy('being created'),
    },
  },
  stopped: {
    next: ['starting', 'deleting'],
    recovery: always('leave'),
    answers: { start: 'go', stop: 'nothing', kill: 'nothing', delete: 'go', set: 'go', exec: notRunning },
  },
  starting: {
    next: ['running', 'stopped', 'stopping', 'error', 'deleting'],
    recovery: { unused: 'stop', inUse: 'adopt' },
    answers: { start: busy('starting'), stop: 'go', kill: 'go', delete: 'go', set: busy('starting'), exec: 'go' },
  },
  running: {
    // Stopped at once when its VMM ends by itself.
    next: ['stopping', 'stopped', 'error', 'deleting'],
    recovery: always('adopt'),
    answers: {
      start: 'nothing',
      stop: 'go',
      kill: 'go',
      delete: 'go',
      // What needs a stop is refused by decideChange.
      set: 'go',
      exec: 'go',
    },
  },
  stopping: {
    next: ['stopped', 'error', 'deleting'],
    recovery: always('stop'),
    answers: { start: busy('stopping'), stop: 'go', kill: 'go', delete: 'go', set: busy('stopping'), exec: notRunning },
  },
  error: {
    // Running when it is found to run all the same, and is adopted.
    next: ['running', 'stopping', 'stopped', 'deleting'],
    recovery: { unused: 'stop', inUse: 'adopt' },
    answers: { start: 'go', stop: 'go', kill: 'go', delete: 'go', set: 'go', exec: notRunning },
  },
  deleting: {
    next: [],
    recovery: always('remove'),
    answers: { start: unmade, stop: unmade, kill: unmade, delete: 'go', set: unmade, exec: unmade },
  },
};

/** @throws INTERNAL when the table does not allow the move */
export function assertMove({ name, state }: { name: string; state: VmState }, to: VmState): void {
  if (to === state || STATES[state].next.includes(to)) return;
  throw new BangerError('INTERNAL', `VM ${name} is ${state} and cannot become ${to}`, { details: { vm: name, state, to } });
}

/** @param vm as the last daemon left it */
export function recoveryOf({ state, startedAt }: { state: VmState; startedAt: string | null }): VmRecovery {
  return STATES[state].recovery[startedAt === null ? 'unused' : 'inUse'];
}

/**
 * Asks the table whether `action` may be done to the VM now.
 * @returns whether there is anything to do
 * @throws WRONG_STATE with the reason and the remedy
 */
export function decideAction(vm: { name: string; state: VmState }, action: VmAction): boolean {
  const answer = STATES[vm.state].answers[action];
  if (answer === 'go') return true;
  if (answer === 'nothing') return false;
  throw new BangerError('WRONG_STATE', `VM ${vm.name} ${answer.refuse}`, {
    ...(answer.remedy === undefined ? {} : { remedy: answer.remedy.replace('NAME', vm.name) }),
    details: { vm: vm.name, state: vm.state, action },
  });
}
