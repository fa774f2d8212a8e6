// What becomes of running VMs when the host shuts down, and after its next boot.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { prepareShutdown } from '../../src/lifecycle/host-shutdown.ts';
import { BangerError } from '../../src/model/errors.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon, until, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { runInProcess } from '../support/user/run-cli.ts';

const SUSPEND = { env: { BANGER_ON_HOST_SHUTDOWN: 'suspend' } };

async function statesOf({ api }: TestDaemon): Promise<Record<string, string>> {
  return Object.fromEntries((await api.listVms()).map(({ name, state }) => [name, state]));
}

/** The host boots again, and this user's daemon starts. */
async function reboot(t: TestContext, daemon: TestDaemon): Promise<TestDaemon> {
  const { world } = daemon;
  await daemon.stop();
  world.network.taps.clear();
  world.storage.attached.clear();
  rmSync(`${world.directories.runtimeDirectory}/v`, { recursive: true, force: true });
  const bootId = `after ${world.host.bootId()}`;
  world.host = { ...world.host, bootId: () => bootId };
  const next = await startDaemon(world, SUSPEND);
  t.after(() => next.stop());
  return next;
}

test('VMs that ran are suspended before the host shuts down, with their sessions, and go on after its boot; others stay as they are (10.5)', async (t) => {
  const daemon = await daemonFor(t, SUSPEND);
  const { api, world } = daemon;
  for (const name of ['web', 'db', 'mine']) await created(api, name);
  await created(api, 'off', { start: false });
  await done(api, api.beginVm('mine', 'suspend'));
  const boots = ['web', 'db'].map((name) => fakeOf(world, name).guest.bootId);
  const socket = await api.exec('web', { argv: ['sleep', '1000'] });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined).resume();
  const told = await runInProcess(world.env, ['daemon', 'prepare-shutdown']);
  assert.equal(told.exitCode, 0, told.stderr);
  for (const name of ['web', 'db']) assert.match(told.stderr, new RegExp(`^ *${name} is suspended$`, 'm'));
  assert.deepEqual(await statesOf(daemon), { web: 'suspended', db: 'suspended', mine: 'suspended', off: 'stopped' });

  const next = await reboot(t, daemon);
  await until(async () => (await statesOf(next))['web'] === 'running' && (await statesOf(next))['db'] === 'running');
  assert.deepEqual(await statesOf(next), { web: 'running', db: 'running', mine: 'suspended', off: 'stopped' });
  assert.deepEqual(
    ['web', 'db'].map((name) => fakeOf(world, name).guest.bootId),
    boots,
  );
  // From here on nothing of it is left: who suspends one by hand resumes it by hand.
  await done(next.api, next.api.beginVm('web', 'suspend'));
  const last = await reboot(t, next);
  assert.equal((await statesOf(last))['web'], 'suspended');
});

test('a VM that cannot be suspended, or not in time, is shut down in order; it stays stopped (10.5, 3.5)', async (t) => {
  const daemon = await daemonFor(t, SUSPEND);
  const { api, effects, services } = daemon;
  for (const name of ['web', 'db']) await created(api, name);
  const slow = await created(api, 'slow');
  const { id: db } = await api.showVm('db');
  effects.hook = ({ name, args }, phase) => {
    if (phase === 'before' && name === 'machine.createSnapshot' && String(args[0]).includes(db)) {
      throw new BangerError('NO_SPACE', 'there is no room');
    }
  };
  const { machine } = services.vms.machines.find(slow.id) ?? assert.fail();
  machine.createSnapshot = (_directory, signal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  const { id } = prepareShutdown(services, 'suspend', 6300);
  const lines: string[] = [];
  for await (const event of services.operations.watch(id, new AbortController().signal)) if (event.type === 'log') lines.push(event.line);
  assert.deepEqual(await statesOf(daemon), { web: 'suspended', db: 'stopped', slow: 'stopped' });
  assert.deepEqual(
    new Set(lines),
    new Set([
      'web is suspended',
      'db is not suspended: there is no room',
      'slow is not suspended: there is no time left',
      'db is stopped',
      'slow is stopped',
    ]),
  );
});

for (const [how, state] of [
  ['leave', 'running'],
  ['stop', 'stopped'],
] as const) {
  test(`with on_host_shutdown = "${how}" a VM is ${state} afterwards (10.5)`, async (t) => {
    const daemon = await daemonFor(t, { env: { BANGER_ON_HOST_SHUTDOWN: how } });
    await created(daemon.api, 'web');
    await done(daemon.api, daemon.api.prepareShutdown());
    assert.deepEqual(await statesOf(daemon), { web: state });
  });
}

test('one that can be neither suspended nor stopped is named, with the way on (10.5)', async (t) => {
  const daemon = await daemonFor(t, SUSPEND);
  const { api, effects } = daemon;
  await created(api, 'web');
  effects.hook = ({ name }, phase) => {
    if (phase === 'before' && (name === 'machine.createSnapshot' || name === 'network.detach')) throw new Error('it does not obey');
  };
  const { error } = await ended(api, await api.prepareShutdown());
  effects.hook = () => undefined;
  assert.deepEqual([error?.message, error?.remedy], ['these VMs could not be stopped: web', 'banger vm kill web']);
});
