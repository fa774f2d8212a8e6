// Unused VMs in the whole daemon, with the shortest time that there is; src/lifecycle/idle/watch.test.ts has a clock of its own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { created, daemonFor, until } from '../support/daemon/test-daemon.ts';

const SHORT = { env: { BANGER_AUTO_STOP_STALE_AFTER: '1s' } };

test('an unused VM is stopped, and its events and the log say why (3.9)', async (t) => {
  const { api, services, log } = await daemonFor(t, SHORT);
  const vm = await created(api, 'web');
  await until(async () => (await api.showVm('web')).state === 'stopped');
  await until(() => services.operations.list().every(({ state }) => state !== 'running'));
  assert.match(
    readFileSync(services.vms.pathsOf(vm).eventLog, 'utf8'),
    /"verb":"vm\.stop","type":"log","line":"web was not used for 1\.0s/,
  );
  assert.ok(log.some(({ level, msg }) => level === 'info' && msg.startsWith('web was not used')));
});

test('an open session, at both ends of it, and a connection keep a VM running (3.9)', async (t) => {
  const { api, world } = await daemonFor(t, SHORT);
  for (const name of ['web', 'db', 'idle']) await created(api, name);
  const session = await api.exec('web', { argv: ['cat'] });
  world.connected.add((await api.showVm('db')).address);
  await until(async () => (await api.showVm('idle')).state === 'stopped');
  await sleep(1200);
  for (const name of ['web', 'db']) assert.equal((await api.showVm(name)).state, 'running', name);
  const before = (await api.showVm('web')).lastUsedAt ?? '';
  session.destroy();
  await until(async () => ((await api.showVm('web')).lastUsedAt ?? '') > before);
  world.connected.clear();
  for (const name of ['web', 'db']) await until(async () => (await api.showVm(name)).state === 'stopped');
});

test('without the setting no VM is stopped and no timer runs (3.9)', async (t) => {
  const { api, effects } = await daemonFor(t);
  await created(api, 'web');
  await sleep(1500);
  assert.equal((await api.showVm('web')).state, 'running');
  assert.ok(!effects.seen.some(({ name }) => name === 'host.connectedAddresses'));
});

test('a file transfer counts as an open session (3.9)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  const { id } = await created(api, 'web');
  const [machine] = world.machines.machines.values();
  machine?.guest.files.set('/big', { content: Buffer.alloc(32 * 1024 ** 2, 1), mode: 0o644 });
  const { socket } = await api.getFile('web', '/big');
  await sleep(50);
  assert.equal(services.vms.machines.find(id)?.sessions, 1);
  socket.destroy();
  await until(() => services.vms.machines.find(id)?.sessions === 0);
});
