import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideAction, VM_STATES, type VmAction } from './vm-state.ts';

const ACTIONS: VmAction[] = ['start', 'stop', 'kill', 'delete', 'set', 'exec'];

test('every state answers every action: do it, nothing to do, or a refusal with a reason and a remedy (3.5)', () => {
  for (const state of VM_STATES) {
    for (const action of ACTIONS) {
      try {
        assert.equal(typeof decideAction({ name: 'web', state }, action), 'boolean');
      } catch (error) {
        const { code, message, remedy } = error as { code: string; message: string; remedy?: string };
        assert.equal(code, 'WRONG_STATE');
        assert.match(message, /^VM web is /);
        assert.match(remedy ?? '', /web/);
      }
    }
  }
});

test('delete works in every state (3.5)', () => {
  for (const state of VM_STATES) assert.equal(decideAction({ name: 'web', state }, 'delete'), true, state);
});

test('starting what runs and stopping what is stopped is nothing to do (3.4)', () => {
  assert.equal(decideAction({ name: 'web', state: 'running' }, 'start'), false);
  assert.equal(decideAction({ name: 'web', state: 'stopped' }, 'stop'), false);
  assert.equal(decideAction({ name: 'web', state: 'stopped' }, 'kill'), false);
});
