// VMs that sleep because nobody uses them, in the whole daemon; src/lifecycle/idle/watch.test.ts has a clock of its own.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fakeOf, created, daemonFor, done, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';

const SECOND = { pauseAfterSeconds: 1 };
const DEEP = { suspendAfterSeconds: 1 };

async function idleDaemon(...words: Parameters<typeof daemonFor>): Promise<TestDaemon> {
  const daemon = await daemonFor(...words);
  daemon.world.cpuShare = 0;
  return daemon;
}

async function stateOf({ api }: TestDaemon, name = 'web'): Promise<string> {
  return (await api.showVm(name)).state;
}

test('pause stops the guest, and resume lets it go on at the time of the host; what needs the guest is refused meanwhile (10.6, 10.8)', async (t) => {
  const daemon = await idleDaemon(t);
  const { api, world } = daemon;
  await created(api, 'web');
  const { pid } = await api.showVm('web');
  for (const verb of ['resume', 'start'] as const) {
    await done(api, api.beginVm('web', 'pause'));
    await done(api, api.beginVm('web', 'pause'));
    const paused = await api.showVm('web');
    assert.deepEqual([paused.state, paused.sleep?.why, paused.pid, fakeOf(world, 'web').paused], ['paused', 'asked', pid, true]);
    await assert.rejects(api.exec('web', { argv: ['true'] }), { code: 'WRONG_STATE', remedy: 'banger vm resume web' });
    await assert.rejects(api.beginVm('web', 'set', { nat: false }), { code: 'WRONG_STATE' });
    assert.equal((await api.health('web')).agent, 'not-running');
    fakeOf(world, 'web').guest.clockOffsetMs = -60_000;
    await done(api, api.beginVm('web', verb));
    const resumed = await api.showVm('web');
    assert.deepEqual([resumed.state, resumed.sleep, resumed.pid, fakeOf(world, 'web').paused], ['running', null, pid, false], verb);
    assert.ok(Math.abs(fakeOf(world, 'web').guest.clockOffsetMs ?? Infinity) < 1000, verb);
    (await api.exec('web', { argv: ['true'] })).destroy();
  }
});

for (const verb of ['stop', 'kill', 'delete', 'suspend', 'restart'] as const) {
  test(`${verb} works on a paused VM (10.6, 3.4)`, async (t) => {
    const { api, world } = await idleDaemon(t);
    await created(api, 'web');
    await done(api, api.beginVm('web', 'pause'));
    await done(api, api.beginVm('web', verb));
    const found = (await api.listVms()).find(({ name }) => name === 'web');
    const end = { stop: 'stopped', kill: 'stopped', delete: undefined, suspend: 'suspended', restart: 'running' }[verb];
    assert.equal(found?.state, end);
    if (verb === 'suspend') await done(api, api.beginVm('web', 'resume'));
    if (verb === 'restart' || verb === 'suspend') assert.equal(fakeOf(world, 'web').paused, false);
  });
}

for (const [tier, spec, state] of [
  ['pause', SECOND, 'paused'],
  ['suspend', DEEP, 'suspended'],
] as const) {
  test(`a VM that nobody uses is ${state}, says why, and wakes for commands, copies, ssh and ports without loss (10.6)`, async (t) => {
    const daemon = await idleDaemon(t);
    const { api, world, services } = daemon;
    const vm = await created(api, 'web', spec);
    const { bootId } = fakeOf(world, 'web').guest;
    const uses = {
      exec: async () => (await api.exec('web', { argv: ['true'] })).destroy(),
      copy: () => api.statFile('web', '/etc'),
      ssh: () => api.sshAccess('web', 'running'),
      ports: () => api.ports('web'),
      wait: () => api.waitVm('web', 'agent', 5000),
      set: async () => void (await done(api, api.beginVm('web', 'set', { nat: false }))),
      awake: async () => void (await api.keepVmAwake('web'), await api.releaseVm('web')),
    };
    for (const [name, use] of Object.entries(uses)) {
      await until(async () => (await stateOf(daemon)) === state);
      await until(() => services.operations.list().every((one) => one.state !== 'running'));
      assert.equal((await api.showVm('web')).sleep?.why, 'idle');
      assert.deepEqual([...world.names.keys()], ['web'], 'its name stays');
      await use();
      assert.equal(await stateOf(daemon), 'running', name);
      assert.equal(fakeOf(world, 'web').guest.bootId, bootId, name);
    }
    const events = readFileSync(services.vms.pathsOf(vm).eventLog, 'utf8');
    assert.match(events, new RegExp(`web was not used for 1.0s \\(${tier}-after\\): it is ${state}`));
  });

  test(`a connection to a port of a VM that is ${state} for idleness wakes it, also with the next daemon (10.6)`, async (t) => {
    const daemon = await idleDaemon(t);
    const { world } = daemon;
    const { address } = await created(daemon.api, 'web', spec);
    // Of the guest's port 22, as an ordinary user gets it.
    const hostPort = 10_022;
    const forwards = (): boolean => [...world.network.forwards.values()].some((all) => all.some((one) => one.hostPort === hostPort));
    await until(forwards);
    await until(async () => (await stateOf(daemon)) === state);
    await until(() => daemon.services.operations.list().every((one) => one.state !== 'running'));
    assert.equal(forwards(), false, 'the host listens instead');
    await daemon.stop();
    const next = await startDaemon(world);
    t.after(() => next.stop());
    assert.equal(await stateOf(next), state);
    assert.deepEqual([...world.names.keys()], ['web']);
    const socket = connect(hostPort, address);
    socket.on('error', () => undefined);
    await until(async () => (await stateOf(next)) === 'running');
    await until(forwards);
    socket.destroy();
  });
}

test('whoever begins a session while the VM falls asleep waits for it, and nobody is put off (10.6)', async (t) => {
  const daemon = await idleDaemon(t);
  const { api, effects, world } = daemon;
  await created(api, 'web', SECOND);
  const session = Promise.withResolvers<void>();
  effects.hook = ({ name }, phase) => {
    if (name !== 'machine.pause' || phase !== 'before') return undefined;
    effects.hook = () => undefined;
    void api.exec('web', { argv: ['cat'] }).then((stream) => (stream.destroy(), session.resolve()), session.reject);
    return undefined;
  };
  await session.promise;
  assert.equal(fakeOf(world, 'web').paused, false);
});

test('a VM with an open session or a busy guest stays up, and a lease shows until when (10.6)', async (t) => {
  const daemon = await idleDaemon(t);
  const { api } = daemon;
  for (const name of ['web', 'kept', 'idle']) await created(api, name, SECOND);
  const session = await api.exec('web', { argv: ['cat'] });
  const kept = await api.keepVmAwake('kept', 3_600_000);
  assert.ok(Math.abs(Date.parse(kept.keepAwake?.until ?? '') - Date.now() - 3_600_000) < 10_000);
  await until(async () => (await stateOf(daemon, 'idle')) === 'paused');
  assert.deepEqual([await stateOf(daemon, 'web'), await stateOf(daemon, 'kept')], ['running', 'running']);
  session.destroy();
  assert.equal((await api.releaseVm('kept')).keepAwake, null);
  for (const name of ['web', 'kept']) await until(async () => (await stateOf(daemon, name)) === 'paused');
});

test('a VM that cannot be suspended for want of what it needs runs on; a snapshot that cannot be used refuses the caller (10.6)', async (t) => {
  const daemon = await idleDaemon(t);
  const { api, effects, world, services } = daemon;
  await created(api, 'web', DEEP);
  let isFailing = true;
  effects.hook = ({ name }) => {
    if (isFailing && name === 'machine.createSnapshot') throw new Error('made to fail');
    return undefined;
  };
  const failed = () => services.operations.list().some((one) => one.verb === 'vm.suspend' && one.state === 'failed');
  await until(failed);
  await until(async () => (await stateOf(daemon)) === 'running');
  assert.equal(fakeOf(world, 'web').paused, false);
  (await api.exec('web', { argv: ['true'] })).destroy();
  isFailing = false;
  await until(async () => (await stateOf(daemon)) === 'suspended');
  await until(() => services.operations.list().every((one) => one.state !== 'running'));
  writeFileSync(world.image.kernelPath, 'another kernel');
  await assert.rejects(api.exec('web', { argv: ['true'] }), { code: 'SNAPSHOT_UNUSABLE', remedy: 'banger vm start --discard-memory web' });
  assert.equal(await stateOf(daemon), 'suspended');
});
