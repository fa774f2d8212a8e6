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

/** Every state answers every action; adding a state or an action does not compile until both have answers. */
const ANSWERS: Record<VmState, Record<VmAction, Answer>> = {
  creating: {
    start: busy('being created'),
    stop: busy('being created'),
    kill: busy('being created'),
    delete: 'go',
    set: busy('being created'),
    exec: busy('being created'),
  },
  stopped: { start: 'go', stop: 'nothing', kill: 'nothing', delete: 'go', set: 'go', exec: notRunning },
  starting: { start: busy('starting'), stop: 'go', kill: 'go', delete: 'go', set: busy('starting'), exec: 'go' },
  running: {
    start: 'nothing',
    stop: 'go',
    kill: 'go',
    delete: 'go',
    // What needs a stop is refused by decideChange.
    set: 'go',
    exec: 'go',
  },
  stopping: { start: busy('stopping'), stop: 'go', kill: 'go', delete: 'go', set: busy('stopping'), exec: notRunning },
  error: { start: 'go', stop: 'go', kill: 'go', delete: 'go', set: 'go', exec: notRunning },
  deleting: {
    start: unmade,
    stop: unmade,
    kill: unmade,
    delete: 'go',
    set: unmade,
    exec: unmade,
  },
};

/**
 * Asks the table whether `action` may be done to the VM now.
 * @returns whether there is anything to do
 * @throws WRONG_STATE with the reason and the remedy
 */
export function decideAction(vm: { name: string; state: VmState }, action: VmAction): boolean {
  const answer = ANSWERS[vm.state][action];
  if (answer === 'go') return true;
  if (answer === 'nothing') return false;
  throw new BangerError('WRONG_STATE', `VM ${vm.name} ${answer.refuse}`, {
    ...(answer.remedy === undefined ? {} : { remedy: answer.remedy.replace('NAME', vm.name) }),
    details: { vm: vm.name, state: vm.state, action },
  });
}
