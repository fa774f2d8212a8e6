// A boot that hangs is no fault of the VM: it is started again, where people can see it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonFor, done, ended, fakeOf, until } from '../support/daemon/test-daemon.ts';

test('a boot that hangs is started again, the operation says so, and the create succeeds (3.3)', async (t) => {
  const { api, world } = await daemonFor(t);
  world.machines.inject('web', 'hang-in-boot');
  const begun = await api.createVm({ name: 'web' }, false);
  await until(() => world.machines.machines.size === 1);
  const first = fakeOf(world, 'web').process.pid;
  world.machines.heal('web', 'hang-in-boot');
  const { state, events } = await ended(api, begun);
  assert.equal(state, 'done');
  const said = events.flatMap((event) => (event.type === 'log' ? [event.line] : []));
  assert.deepEqual(said, ['the boot hung (it did nothing for 8 seconds); it is started again']);
  const { pid, state: present } = await api.showVm('web');
  assert.equal(present, 'running');
  assert.notEqual(pid, first);
  assert.equal(pid, fakeOf(world, 'web').process.pid);
  assert.equal(world.machines.machines.size, 1);
});

test('a boot that hangs every time fails with the reason and leaves nothing (3.3, 9.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  world.machines.inject('web', 'hang-in-boot');
  const { state, error } = await ended(api, await api.createVm({ name: 'web' }, false));
  assert.equal(state, 'failed');
  assert.equal(error?.code, 'BOOT_FAILED');
  assert.match(error?.message ?? '', /the boot hung 4 times: it did nothing/);
  assert.deepEqual([await api.listVms(), world.remains()], [[], []]);
});

test('an existing VM survives a start whose boots all hang, and starts when the next boot works (3.3)', async (t) => {
  const { api, world } = await daemonFor(t);
  await done(api, api.createVm({ name: 'web', start: false }, false));
  world.machines.inject('web', 'hang-in-boot');
  assert.equal((await ended(api, await api.beginVm('web', 'start'))).state, 'failed');
  assert.equal((await api.showVm('web')).state, 'stopped');
  world.machines.heal('web', 'hang-in-boot');
  await done(api, api.beginVm('web', 'start'));
  assert.equal((await api.showVm('web')).state, 'running');
});
