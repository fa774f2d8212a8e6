import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertMove, decideAction, recoveryOf, VM_STATES, type VmAction, type VmState } from './vm-state.ts';

const ACTIONS: VmAction[] = ['start', 'stop', 'kill', 'delete', 'set', 'exec', 'pause', 'suspend', 'resume', 'fork'];

test('every state answers every action: do it, nothing to do, or a refusal with a reason and a remedy (3.5)', () => {
  for (const state of VM_STATES) {
    for (const action of ACTIONS) {
      try {
        assert.equal(typeof decideAction({ name: 'web', state }, action), 'boolean');
      } catch (error) {
        const { code, message, remedy } = error as { code: string; message: string; remedy?: string };
        assert.equal(code, 'WRONG_STATE');
        assert.match(message, /^VM web is /);
        assert.match(remedy ?? '', state === 'template' || state === 'spare' ? /^banger vm create$/ : /web/);
      }
    }
  }
});

test('delete works in every state (3.5)', () => {
  for (const state of VM_STATES) assert.equal(decideAction({ name: 'web', state }, 'delete'), true, state);
});

test('starting a running VM and stopping a stopped one do nothing (3.4)', () => {
  assert.equal(decideAction({ name: 'web', state: 'running' }, 'start'), false);
  assert.equal(decideAction({ name: 'web', state: 'stopped' }, 'stop'), false);
  assert.equal(decideAction({ name: 'web', state: 'stopped' }, 'kill'), false);
});

test('a VM that is being deleted gets no other state, and only a spare goes back to its creation (3.8)', () => {
  const canBecome = (state: VmState, to: VmState): boolean => {
    try {
      assertMove({ name: 'web', state }, to);
      return true;
    } catch (error) {
      assert.equal((error as { code: string }).code, 'INTERNAL');
      return false;
    }
  };
  for (const state of VM_STATES) {
    assert.equal(canBecome(state, state), true, state);
    assert.equal(canBecome(state, 'deleting'), true, state);
    assert.equal(canBecome('deleting', state), state === 'deleting', state);
    // A spare has been created already, and becomes a user's VM.
    assert.equal(canBecome(state, 'creating'), state === 'creating' || state === 'spare', state);
  }
  assert.equal(canBecome('stopped', 'running'), false);
});

test('a VM in which a user may work is adopted, unless a stop was requested; a half-made one is removed (3.8, 10.7)', () => {
  const of = (startedAt: string | null) => VM_STATES.map((state) => `${state}: ${recoveryOf({ state, startedAt })}`);
  const always = [
    'creating: remove',
    'stopped: leave',
    'suspended: leave',
    'suspending: adopt',
    'template: leave',
    'spare: remove',
    'paused: adopt',
  ];
  const last = ['stopping: stop', 'deleting: remove'];
  assert.deepEqual(new Set(of(null)), new Set([...always, ...last, 'starting: stop', 'running: adopt', 'error: stop']));
  assert.deepEqual(new Set(of('2026-01-01T00:00:00Z')), new Set([...always, ...last, 'starting: adopt', 'running: adopt', 'error: adopt']));
});
