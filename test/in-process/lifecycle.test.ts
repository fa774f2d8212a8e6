import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BangerError } from '../../src/model/errors.ts';
import { VM_STATES } from '../../src/model/vm-state.ts';
import { forceState } from '../support/daemon/force-state.ts';
import { created, daemonFor, done, ended, fakeOf, until } from '../support/daemon/test-daemon.ts';

test('a VM is created, shown, stopped, started, restarted, killed and deleted, and nothing is left (3.1, 3.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  const { id, state, pid, hypervisor } = await created(api, 'web');
  assert.deepEqual([state, hypervisor], ['running', 'fake']);
  assert.ok(pid !== null);
  for (const reference of ['web', id, id.slice(0, 4)]) assert.equal((await api.showVm(reference)).name, 'web');
  for (const [verb, expected] of [
    ['stop', 'stopped'],
    ['start', 'running'],
    ['restart', 'running'],
    ['kill', 'stopped'],
  ] as const) {
    await done(api, api.beginVm('web', verb));
    const vm = await api.showVm('web');
    assert.deepEqual([vm.state, vm.pid !== null, vm.lastError], [expected, expected === 'running', null], verb);
    assert.deepEqual([...world.names.keys()], expected === 'running' ? ['web'] : [], verb);
  }
  await done(api, api.beginVm('web', 'delete'));
  assert.deepEqual(await api.listVms(), []);
  assert.deepEqual(world.remains(), []);
});

test('a VM can be made without a start, and its guest gets its identity with the first start (7.3)', async (t) => {
  const { api, world } = await daemonFor(t);
  const vm = await created(api, 'web', { start: false, memoryMib: 256, nat: false });
  assert.deepEqual([vm.state, vm.spec.memoryMib, vm.spec.nat, world.machines.machines.size], ['stopped', 256, false, 0]);
  await done(api, api.beginVm('web', 'start'));
  const { personalization } = fakeOf(world, 'web').guest;
  assert.equal(personalization?.['hostname'], 'web');
  assert.equal(personalization['machineId'], vm.id);
  assert.deepEqual((personalization['network'] as { gateway: unknown }).gateway, null);
});

test('repeating what is already done is not an error and changes nothing (3.4)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  const { pid } = fakeOf(world, 'web').process;
  await Promise.all([1, 2, 3].map(() => done(api, api.beginVm('web', 'start'))));
  assert.equal(fakeOf(world, 'web').process.pid, pid);
  await Promise.all([1, 2, 3].map(() => done(api, api.beginVm('web', 'stop'))));
  await done(api, api.beginVm('web', 'kill'));
  assert.equal((await api.showVm('web')).state, 'stopped');
});

test('a new VM gets no address on which a program of another user listens already (12.8)', async (t) => {
  const { api, world } = await daemonFor(t);
  const { address } = await created(api, 'first', { start: false });
  const next = address.replace(/\d+$/, (last) => String(Number(last) + 1));
  world.squatted.add(next);
  const second = await created(api, 'second', { start: false });
  assert.notEqual(second.address, next);
  assert.notEqual(second.address, address);
});

test('VMs that are created simultaneously get different addresses and names (3.2, 3.4)', async (t) => {
  const { api } = await daemonFor(t);
  await Promise.all(Array.from({ length: 10 }, () => done(api, api.createVm({}, false))));
  const vms = await api.listVms();
  for (const member of ['name', 'address', 'guestAddress'] as const) assert.equal(new Set(vms.map((vm) => vm[member])).size, 10, member);
});

test('a VM that hangs does not delay others (3.4)', async (t) => {
  const { api, world } = await daemonFor(t);
  world.machines.inject('slow', 'hang-at-start');
  const slow = await api.createVm({ name: 'slow' }, false);
  assert.equal((await created(api, 'quick')).state, 'running');
  assert.equal((await api.showVm('slow')).state, 'creating');
  await api.cancelOperation(slow.id);
  assert.equal((await ended(api, slow)).state, 'cancelled');
});

test('simultaneous stop and start end in one of the two states, and each reports the truth (3.4)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  for (let round = 0; round < 10; round++) {
    const verbs = ['stop', 'start', 'restart', 'kill', 'start'] as const;
    const operations = await Promise.all(verbs.map((verb) => api.beginVm('web', verb)));
    for (const operation of operations) assert.match((await ended(api, operation)).state, /^(done|cancelled)$/);
    const { state } = await api.showVm('web');
    assert.match(state, /^(running|stopped)$/);
    assert.equal(world.machines.machines.size, state === 'running' ? 1 : 0);
  }
});

test('a delete during the creation cancels it and removes the VM (3.4, 3.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  world.machines.inject('web', 'hang-at-start');
  const creation = await api.createVm({ name: 'web' }, false);
  await done(api, api.beginVm('web', 'delete'));
  assert.equal((await ended(api, creation)).state, 'cancelled');
  assert.deepEqual([await api.listVms(), world.remains()], [[], []]);
});

for (const verb of ['stop', 'kill', 'delete'] as const) {
  test(`a start that hangs does not hold up ${verb} (3.5)`, async (t) => {
    const { api, world } = await daemonFor(t);
    await created(api, 'web', { start: false });
    world.machines.inject('web', 'hang-at-start');
    const start = await api.beginVm('web', 'start');
    await until(async () => (await api.showVm('web')).state === 'starting');
    await done(api, api.beginVm('web', verb));
    assert.equal((await ended(api, start)).state, 'cancelled');
    assert.deepEqual(
      (await api.listVms()).map(({ state, pid }) => [state, pid]),
      verb === 'delete' ? [] : [['stopped', null]],
    );
    assert.equal(world.machines.machines.size, 0);
  });
}

test('a VM is deleted whatever state its record names, with or without a machine (3.5)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  for (const state of VM_STATES) {
    for (const start of [true, false]) {
      const { id } = await created(api, 'web', { start });
      forceState(services, id, state);
      await done(api, api.beginVm('web', 'delete'));
      assert.deepEqual([await api.listVms(), world.remains()], [[], []], `${state}, ${start ? 'running' : 'stopped'}`);
    }
  }
});

test('stop asks the agent, then presses the button, then ends the VMM by force (3.5)', async (t) => {
  const { api, world } = await daemonFor(t, { env: { BANGER_STOP_GRACE_SECONDS: '0' } });
  await created(api, 'web');
  const asked = fakeOf(world, 'web').exited;
  await done(api, api.beginVm('web', 'stop', { graceMs: 1000 }));
  assert.equal((await asked).cause, 'guest-poweroff');

  await done(api, api.beginVm('web', 'start'));
  const deaf = fakeOf(world, 'web');
  deaf.guest.onPoweroff = () => undefined;
  world.machines.inject('web', 'ignore-shutdown');
  await done(api, api.beginVm('web', 'stop', { graceMs: 20 }));
  assert.equal((await deaf.exited).cause, 'host-request');
  assert.equal((await api.showVm('web')).state, 'stopped');
});

test('a VMM that does not end is reported, keeps its record, and is not started twice (3.5, 9.5)', async (t) => {
  const { api, world, effects } = await daemonFor(t);
  await created(api, 'web');
  const { pid } = fakeOf(world, 'web').process;
  effects.hook = ({ name }) => {
    if (name === 'machine.terminate' || name === 'host.endProcess') throw new BangerError('INTERNAL', 'it is stuck in the kernel');
  };
  for (const verb of ['kill', 'start', 'delete'] as const) {
    const { state, error } = await ended(api, await api.beginVm('web', verb));
    assert.deepEqual([verb, state, error?.message], [verb, 'failed', 'it is stuck in the kernel']);
    assert.deepEqual([(await api.showVm('web')).pid, world.machines.machines.size], [pid, 1]);
  }
  effects.hook = () => undefined;
  await done(api, api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('a VM whose delete failed halfway does not become stopped when its VMM ends (3.5, 9.5)', async (t) => {
  const { api, world, effects, services } = await daemonFor(t);
  const { id } = await created(api, 'web');
  effects.hook = ({ name }, phase) => {
    if (name === 'machine.terminate' && phase === 'after') throw new BangerError('INTERNAL', 'its end was not heard');
  };
  assert.equal((await ended(api, await api.beginVm('web', 'delete'))).state, 'failed');
  effects.hook = () => undefined;
  // Whoever cleans up after a VMM waits for the same lock.
  await services.vms.locks.hold(id, new AbortController().signal, () => Promise.resolve());
  assert.equal((await api.showVm('web')).state, 'deleting');
  await done(api, api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test("a start that fails leaves the VM stopped, with the reason and the guest's last words (3.3)", async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web', { start: false });
  const before = world.remains();
  for (const fault of ['fail-at-start', 'die-after-start'] as const) {
    world.machines.inject('web', fault);
    const { state, error } = await ended(api, await api.beginVm('web', 'start'));
    world.machines.heal('web', fault);
    assert.equal(state, 'failed', fault);
    assert.match(error?.logPath ?? '', /\.log$/, fault);
    if (fault === 'die-after-start') assert.deepEqual(error?.details?.['serialTail'], ['Linux version 6.1.0-fake', 'banger: agent ready']);
    const vm = await api.showVm('web');
    assert.deepEqual([vm.state, vm.pid], ['stopped', null]);
    assert.match(vm.lastError ?? '', /last start failed/);
    assert.deepEqual(world.remains(), before);
  }
  await done(api, api.beginVm('web', 'start'));
  assert.equal((await api.showVm('web')).lastError, null);
});

test('wait returns once the condition holds, or says what holds instead, and ends with the VM (3.1)', async (t) => {
  const { api } = await daemonFor(t);
  await created(api, 'web');
  for (const target of ['agent', 'ssh', 'services', 'running'] as const)
    assert.equal((await api.waitVm('web', target, 0)).state, 'running');
  await assert.rejects(api.waitVm('web', 'stopped', 0), { code: 'TIMEOUT' });
  const stopped = api.waitVm('web', 'stopped', undefined);
  await done(api, api.beginVm('web', 'stop'));
  assert.equal((await stopped).state, 'stopped');
  await assert.rejects(api.waitVm('web', 'running', 60_000), { code: 'WRONG_STATE' });
  await done(api, api.beginVm('web', 'start'));
  // Listened to from the start: the answer may come before the deletion's.
  const gone = api.waitVm('web', 'stopped', undefined).then(
    ({ state }) => assert.equal(state, 'stopped'),
    (error: BangerError) => assert.equal(error.code, 'NOT_FOUND'),
  );
  await done(api, api.beginVm('web', 'delete'));
  await gone;
});
