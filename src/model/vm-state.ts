import { BangerError } from './errors.ts';

/** Where a VM is in its life. `error` keeps its disks and can be started, killed or deleted. */
export const SEEN_STATES = [
  'creating',
  'stopped',
  'starting',
  'running',
  'paused',
  'stopping',
  'suspending',
  'suspended',
  'error',
  'deleting',
] as const;
type SeenState = (typeof SEEN_STATES)[number];

/**
 * The states of users' VMs, and those of machines that no user sees (model/hidden.ts). `template`: it never runs again; clones map the
 * memory in its snapshot. `spare`: a clone that stands still until `vm create` takes it.
 */
export const VM_STATES = [...SEEN_STATES, 'template', 'spare'] as const;
export type VmState = (typeof VM_STATES)[number];

export type VmAction = 'start' | 'stop' | 'kill' | 'delete' | 'set' | 'exec' | 'pause' | 'suspend' | 'resume' | 'fork';

/** `go`: do it; `nothing`: there is nothing to do; a sentence: refuse with this reason. */
type Answer = 'go' | 'nothing' | { refuse: string; remedy?: string };

const busy = (doing: string): Answer => ({ refuse: `is ${doing}`, remedy: 'banger vm wait NAME' });
/** Another delete waits for the running one, and finishes an interrupted one. */
const unmade: Answer = { refuse: 'is being deleted', remedy: 'banger vm delete NAME' };
const notSuspended: Answer = { refuse: 'is not suspended', remedy: 'banger vm start NAME' };
const suspended: Answer = { refuse: 'is suspended', remedy: 'banger vm resume NAME' };
const paused: Answer = { refuse: 'is paused', remedy: 'banger vm resume NAME' };
const notRunning: Answer = { refuse: 'is not running', remedy: 'banger vm start NAME' };

/** What the next daemon does with a VM: leave it, remove it, stop it, or adopt it if it runs. */
export type VmRecovery = 'leave' | 'remove' | 'stop' | 'adopt';

type StateRow = {
  /** The states that may follow; staying is no move. */
  next: readonly VmState[];
  /** `inUse` applies from the moment when the start is recorded: a user may work in the guest. A stop, though, was asked for. */
  recovery: { unused: VmRecovery; inUse: VmRecovery };
  answers: Record<VmAction, Answer>;
};

const own: Answer = { refuse: "is banger's own", remedy: 'banger vm create' };
/** No user gives commands to what no user sees; banger itself removes it. */
const hidden: StateRow['answers'] = {
  start: own,
  stop: own,
  kill: own,
  delete: 'go',
  set: own,
  exec: own,
  pause: own,
  suspend: own,
  fork: own,
  resume: own,
};

const always = (recovery: VmRecovery): StateRow['recovery'] => ({ unused: recovery, inUse: recovery });

/** The one table of states. A new state or action only compiles once the table says everything about it. */
const STATES: Record<VmState, StateRow> = {
  creating: {
    next: ['stopped', 'running', 'template', 'spare', 'error', 'deleting'],
    recovery: always('remove'),
    answers: {
      start: busy('being created'),
      stop: busy('being created'),
      kill: busy('being created'),
      delete: 'go',
      set: busy('being created'),
      exec: busy('being created'),
      pause: busy('being created'),
      suspend: busy('being created'),
      fork: busy('being created'),
      resume: busy('being created'),
    },
  },
  stopped: {
    next: ['starting', 'deleting'],
    recovery: always('leave'),
    answers: {
      start: 'go',
      stop: 'nothing',
      kill: 'nothing',
      delete: 'go',
      set: 'go',
      exec: notRunning,
      pause: notRunning,
      suspend: notRunning,
      fork: notRunning,
      resume: notSuspended,
    },
  },
  starting: {
    // Suspended again when what it was to go on from could not be restored.
    next: ['running', 'stopped', 'stopping', 'suspended', 'error', 'deleting'],
    recovery: { unused: 'stop', inUse: 'adopt' },
    answers: {
      start: busy('starting'),
      stop: 'go',
      kill: 'go',
      delete: 'go',
      set: busy('starting'),
      exec: 'go',
      pause: busy('starting'),
      suspend: busy('starting'),
      fork: busy('starting'),
      resume: busy('starting'),
    },
  },
  running: {
    // It becomes stopped at once if its VMM ends by itself, and suspended if the host lost power before the record of that was written.
    next: ['paused', 'stopping', 'stopped', 'suspending', 'suspended', 'error', 'deleting'],
    recovery: always('adopt'),
    answers: {
      start: 'nothing',
      stop: 'go',
      kill: 'go',
      delete: 'go',
      // decideChange refuses changes that need a stopped VM.
      set: 'go',
      exec: 'go',
      pause: 'go',
      suspend: 'go',
      fork: 'go',
      resume: 'nothing',
    },
  },
  paused: {
    next: ['running', 'stopping', 'stopped', 'suspending', 'suspended', 'error', 'deleting'],
    recovery: always('adopt'),
    answers: {
      start: 'go',
      stop: 'go',
      kill: 'go',
      delete: 'go',
      set: paused,
      exec: paused,
      pause: 'nothing',
      suspend: 'go',
      fork: paused,
      resume: 'go',
    },
  },
  stopping: {
    // Suspended when a stop of one that was has come to nothing.
    next: ['stopped', 'suspended', 'error', 'deleting'],
    recovery: always('stop'),
    answers: {
      start: busy('stopping'),
      stop: 'go',
      kill: 'go',
      delete: 'go',
      set: busy('stopping'),
      exec: notRunning,
      pause: busy('stopping'),
      suspend: busy('stopping'),
      fork: busy('stopping'),
      resume: busy('stopping'),
    },
  },
  suspending: {
    // Running again when its memory could not be written. Its VMM, if it lives, may stand still, and whoever adopts it lets it go on.
    next: ['running', 'suspended', 'stopped', 'stopping', 'error', 'deleting'],
    recovery: always('adopt'),
    answers: {
      start: busy('being suspended'),
      stop: 'go',
      kill: 'go',
      delete: 'go',
      set: busy('being suspended'),
      exec: busy('being suspended'),
      pause: busy('being suspended'),
      suspend: busy('being suspended'),
      fork: busy('being suspended'),
      resume: busy('being suspended'),
    },
  },
  suspended: {
    next: ['starting', 'stopping', 'stopped', 'deleting'],
    recovery: always('leave'),
    answers: {
      start: 'go',
      stop: 'go',
      kill: 'go',
      delete: 'go',
      set: suspended,
      exec: suspended,
      pause: suspended,
      suspend: 'nothing',
      fork: suspended,
      resume: 'go',
    },
  },
  error: {
    // It becomes running if it turns out to run, and is adopted.
    next: ['running', 'stopping', 'stopped', 'suspended', 'deleting'],
    recovery: { unused: 'stop', inUse: 'adopt' },
    answers: {
      start: 'go',
      stop: 'go',
      kill: 'go',
      delete: 'go',
      set: 'go',
      exec: notRunning,
      pause: notRunning,
      suspend: notRunning,
      fork: notRunning,
      resume: notSuspended,
    },
  },
  template: {
    next: ['deleting'],
    recovery: always('leave'),
    answers: hidden,
  },
  spare: {
    // Creating again when it becomes a user's VM.
    next: ['creating', 'deleting'],
    // The next daemon makes new ones: what this one was told may be out of date by then.
    recovery: always('remove'),
    answers: hidden,
  },
  deleting: {
    next: [],
    recovery: always('remove'),
    answers: {
      start: unmade,
      stop: unmade,
      kill: unmade,
      delete: 'go',
      set: unmade,
      exec: unmade,
      pause: unmade,
      suspend: unmade,
      fork: unmade,
      resume: unmade,
    },
  },
};

/** @throws INTERNAL if the table does not allow the move */
export function assertMove({ name, state }: { name: string; state: VmState }, to: VmState): void {
  if (to === state || STATES[state].next.includes(to)) return;
  throw new BangerError('INTERNAL', `VM ${name} is ${state} and cannot become ${to}`, { details: { vm: name, state, to } });
}

/** @returns whether only files of the VM exist on the host, until it is told to start */
export function isAtRest(state: VmState): boolean {
  return STATES[state].recovery.unused === 'leave';
}

/** @returns whether the VM has a VMM, whose guest runs or stands still */
export function isPowered(state: VmState): boolean {
  return state === 'running' || state === 'paused';
}

/** @param vm the record from the last daemon */
export function recoveryOf({ state, startedAt }: { state: VmState; startedAt: string | null }): VmRecovery {
  return STATES[state].recovery[startedAt === null ? 'unused' : 'inUse'];
}

/**
 * Asks the table whether `action` is allowed for the VM now.
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

/** @returns the state of a VM that a user sees. @throws INTERNAL for a machine that no user should have reached */
export function seenState({ name, state }: { name: string; state: VmState }): SeenState {
  if (state !== 'template' && state !== 'spare') return state;
  throw new BangerError('INTERNAL', `VM ${name} is a ${state}, which no user sees`);
}
