import assert from 'node:assert/strict';
import { test } from 'node:test';
import { created, daemonFor, ended } from '../support/test-daemon.ts';

test('a VM is created, shown, stopped, started, restarted, killed and deleted, and nothing is left (3.1, 3.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  const vm = await created(api, 'web');
  assert.equal(vm.state, 'running');
  for (const [verb, state] of [
    ['stop', 'stopped'],
    ['start', 'running'],
    ['restart', 'running'],
    ['kill', 'stopped'],
  ] as const) {
    assert.equal((await ended(api, await api.beginVm('web', verb))).state, 'done');
    assert.equal((await api.showVm('web')).state, state);
  }
  await ended(api, await api.beginVm('web', 'delete'));
  assert.deepEqual(await api.listVms(), []);
  assert.deepEqual(world.remains(), []);
});
