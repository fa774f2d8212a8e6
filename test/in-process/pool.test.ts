// Spares that wait for the next creations: taken once, made anew, and gone with their daemon.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FakeVmm } from '../../src/drivers/hypervisor/fake/world.ts';
import type { Vm } from '../../src/model/vm.ts';
import { assertSound } from '../support/daemon/soundness.ts';
import { created, done, ended, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

const POOL_OF = (count: number): Record<string, string> => ({ BANGER_TEMPLATES_ENABLED: 'true', BANGER_TEMPLATES_POOL: `${count}` });

const sparesOf = ({ services }: TestDaemon): Vm[] => services.vms.records.listAll().filter(({ state }) => state === 'spare');

/** Waits until the pool is full, and at rest. */
async function filled({ services }: TestDaemon, count: number): Promise<Vm[]> {
  const spares = (): Vm[] => services.vms.records.listAll().filter(({ name }) => name.startsWith('spare.'));
  await until(() => spares().length === count && spares().every(({ state }) => state === 'spare'));
  return spares();
}

function machineOf({ world, services }: TestDaemon, vm: Pick<Vm, 'id'>): FakeVmm {
  return world.machines.machines.get(services.vms.pathsOf(vm).runtimeDirectory) ?? assert.fail(`no machine of ${vm.id}`);
}

/** Starts a daemon, and makes the template of the default shape. */
async function warmed(world: TestWorld, options: Parameters<typeof startDaemon>[1]): Promise<TestDaemon> {
  const daemon = await startDaemon(world, options);
  await done(daemon.api, daemon.api.warmImage('default', false));
  return daemon;
}

/** @returns what there is, but of the template */
function remainsOf({ world, services }: TestDaemon): string[] {
  const templates = services.vms.records.listAll().filter(({ state }) => state === 'template');
  return world.remains().filter((line) => templates.every(({ id }) => !line.includes(id)));
}

async function poolFor(t: TestContext, count: number) {
  const world = createTestWorld();
  t.after(() => world.remove());
  const daemon = await warmed(world, { env: POOL_OF(count) });
  t.after(() => daemon.stop());
  return { daemon, spares: await filled(daemon, count) };
}

test('a creation takes a spare, which then has the name, labels and time of the new VM, and another is made (10.2)', async (t) => {
  const { daemon, spares } = await poolFor(t, 1);
  const { api } = daemon;
  const [spare = assert.fail()] = spares;
  const { guest } = machineOf(daemon, spare);
  assert.deepEqual([machineOf(daemon, spare).paused, guest.openSessions, spare.startedAt], [true, 0, null]);
  const seed = guest.personalization?.['randomSeed'];
  guest.clockOffsetMs = -3_600_000;
  const vm = await created(api, 'web', { labels: { team: 'a' } });
  assert.deepEqual([vm.id, vm.state, vm.labels], [spare.id, 'running', { team: 'a' }]);
  assert.ok(Date.parse(vm.createdAt) > Date.parse(spare.createdAt) && vm.startedAt !== null);
  const machine = machineOf(daemon, vm);
  assert.deepEqual([machine.guest, machine.paused, guest.hostname], [guest, false, 'web']);
  assert.deepEqual(guest.personalization?.['hosts'], [`${vm.guestAddress} web.vm web`]);
  assert.equal(guest.personalization?.['machineId'], vm.id);
  assert.notEqual(guest.personalization?.['randomSeed'], seed);
  assert.ok(Math.abs(guest.clockOffsetMs ?? 0) < 1000, `${guest.clockOffsetMs}`);
  // What runs beside a VM runs beside it from now on: its ports are watched.
  await until(() => (daemon.world.network.forwards.get(vm.id.slice(0, 8)) ?? []).length > 0);
  const [next] = await filled(daemon, 1);
  assert.notEqual(next?.id, vm.id);
  assert.deepEqual((await api.daemon()).spares, { ready: 1, wanted: 1, problem: null });
  await done(api, api.beginVm('web', 'delete'));
});

test('two creations at once never get the same spare (10.2)', async (t) => {
  const { daemon, spares } = await poolFor(t, 2);
  const { api } = daemon;
  const names = ['a', 'b', 'c'];
  const vms = await Promise.all(names.map((name) => created(api, name)));
  assert.equal(new Set(vms.map(({ id }) => id)).size, 3);
  assert.equal(vms.filter(({ id }) => spares.some((spare) => spare.id === id)).length, 2);
  for (const vm of vms) assert.equal(machineOf(daemon, vm).guest.hostname, vm.name);
  await filled(daemon, 2);
  await assert.rejects(created(api, 'a'), { code: 'NAME_TAKEN' });
  assert.equal(sparesOf(daemon).length, 2);
});

test('what changes while a VM runs is changed in a spare; every other shape, and a VM that does not start, is made as ever (10.2)', async (t) => {
  const { daemon, spares } = await poolFor(t, 1);
  const { api, world } = daemon;
  const [spare = assert.fail()] = spares;
  for (const body of [{ memoryMib: 512 }, { vcpuCount: 3 }, { start: false }]) {
    const vm = await created(api, 'other', body);
    assert.notEqual(vm.id, spare.id);
    await done(api, api.beginVm('other', 'delete'));
  }
  assert.ok(world.network.nat.has(spare.id.slice(0, 8)));
  const vm = await created(api, 'closed', { nat: false });
  assert.deepEqual([vm.id, vm.spec.nat, world.network.nat.has(vm.id.slice(0, 8))], [spare.id, false, false]);
});

test('a spare whose VMM ends is removed with all it had, and the next look makes another (10.2)', async (t) => {
  const { daemon, spares } = await poolFor(t, 1);
  const { services, api } = daemon;
  const [spare = assert.fail()] = spares;
  machineOf(daemon, spare).end({ cause: 'crash', detail: 'ended by SIGSEGV' });
  await until(() => services.vms.records.find(spare.id) === undefined);
  assert.deepEqual(remainsOf(daemon), []);
  const vm = await created(api, 'web');
  assert.notEqual(vm.id, spare.id);
  await filled(daemon, 1);
});

test('a creation whose spare fails goes on without it, says so, and leaves nothing of it (10.2)', async (t) => {
  const { daemon, spares } = await poolFor(t, 1);
  const { api, effects } = daemon;
  const [spare = assert.fail()] = spares;
  const dead = machineOf(daemon, spare);
  effects.hook = ({ name }, phase) => {
    if (name !== 'machine.resume' || phase !== 'before') return;
    effects.hook = () => undefined;
    dead.end({ cause: 'crash', detail: 'ended by SIGSEGV' });
  };
  const operation = await ended(api, await api.createVm({ name: 'web' }, false));
  assert.equal(operation.state, 'done');
  const lines = operation.events.flatMap((event) => (event.type === 'log' ? event.line : []));
  assert.match(lines.join('\n'), /^it could not be made of a spare VM, and takes longer: /);
  const vm = await api.showVm('web');
  assert.equal(vm.state, 'running');
  assert.notEqual(machineOf(daemon, vm).guest, dead.guest);
  await filled(daemon, 1);
});

test('a creation from a spare that is cancelled leaves nothing, at whatever moment (10.2, 3.3)', async (t) => {
  for (const at of ['at once', 'host.readIfThere', 'machine.resume']) {
    await t.test(at, async (inner) => {
      const { daemon, spares } = await poolFor(inner, 1);
      const { api, effects, services } = daemon;
      let cancel = (): void => undefined;
      if (at !== 'at once') effects.hook = ({ name }) => (name === at ? cancel() : undefined);
      const operation = await api.createVm({ name: 'web' }, false);
      cancel = () => services.operations.cancel(operation.id);
      if (at === 'at once') cancel();
      const { state } = await ended(api, operation);
      effects.hook = () => undefined;
      // The moment may have passed before the test knew the operation.
      if (state === 'done') await done(api, api.beginVm('web', 'delete'));
      else assert.equal(state, 'cancelled');
      assert.equal(services.vms.records.find(spares[0]?.id ?? ''), undefined);
      assert.deepEqual(await api.listVms(), []);
      await filled(daemon, 1);
    });
  }
});

test('an orderly end of the daemon leaves no spare, and after a violent one the next daemon makes new ones (10.2)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const first = await warmed(world, { env: POOL_OF(2) });
  const template = first.services.vms.records.listAll().find(({ state }) => state === 'template');
  await filled(first, 2);
  await first.stop();
  assert.deepEqual(
    world.remains().filter((line) => !line.includes(template?.id ?? '')),
    [],
  );
  const second = await startDaemon(world, { env: POOL_OF(2) });
  const old = await filled(second, 2);
  await second.kill();
  const third = await startDaemon(world, { env: POOL_OF(1) });
  t.after(() => third.stop());
  for (const { id } of old) assert.equal(third.services.vms.records.find(id), undefined);
  const [spare] = await filled(third, 1);
  assert.equal(world.machines.machines.size, 1);
  assert.equal((await created(third.api, 'web')).id, spare?.id);
  await third.stop();
  const last = await startDaemon(world);
  t.after(() => last.stop());
  await done(last.api, last.api.deleteTemplate(template?.id ?? ''));
  assert.deepEqual(
    (await assertSound(last, 'after the pool')).map(({ name }) => name),
    ['web'],
  );
  assert.deepEqual((await last.api.daemon()).spares, { ready: 0, wanted: 0, problem: null });
});

test('a daemon that ends while it makes a spare leaves nothing (10.2)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const due: (() => void)[] = [];
  const daemon = await warmed(world, { env: POOL_OF(1), timer: (run) => (due.push(run), () => undefined) });
  world.machines.inject('*', 'hang-at-start');
  due.forEach((run) => run());
  const { records } = daemon.services.vms;
  await until(() => daemon.effects.seen.filter(({ name }) => name === 'hypervisor.restore').length > 0);
  const [template, spare] = records.listAll();
  assert.deepEqual([template?.state, spare?.state], ['template', 'creating']);
  await daemon.stop();
  assert.deepEqual(
    world.remains().filter((line) => !line.includes(template?.id ?? '')),
    [],
  );
});

test('a host that is short of memory gives up its spares, and says why there are none (10.2)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  let availableBytes = 2 ** 34;
  const host = { ...world.host, availableMemoryBytes: () => Promise.resolve(availableBytes) };
  const daemon = await warmed(world, { env: POOL_OF(1), drivers: { host } });
  t.after(() => daemon.stop());
  await filled(daemon, 1);
  availableBytes = 2 ** 29;
  const vm = await created(daemon.api, 'web', { start: false });
  await filled(daemon, 0);
  assert.deepEqual((await daemon.api.daemon()).spares, { ready: 0, wanted: 1, problem: 'the host has no memory for another VM' });
  availableBytes = 2 ** 34;
  await done(daemon.api, daemon.api.beginVm(vm.name, 'delete'));
  await filled(daemon, 1);
});

test('a spare that cannot be made is tried again later, and not at every turn (10.2)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const due: { ms: number; run: () => void }[] = [];
  const timer = (run: () => void, ms: number) => (due.push({ ms, run }), () => undefined);
  const daemon = await warmed(world, { env: POOL_OF(1), timer });
  t.after(() => daemon.stop());
  world.machines.inject('*', 'fail-at-start');
  due.splice(0).forEach(({ run }) => run());
  await until(() => due.length === 1);
  assert.deepEqual(
    due.map(({ ms }) => ms),
    [60_000],
  );
  assert.match((await daemon.api.daemon()).spares.problem ?? '', /did not start/);
  assert.deepEqual(remainsOf(daemon), []);
  await created(daemon.api, 'web', { start: false });
  assert.equal(due.length, 1);
  due.splice(0).forEach(({ run }) => run());
  await until(() => due.length === 1);
  assert.deepEqual(
    due.map(({ ms }) => ms),
    [120_000],
  );
  world.machines.heal('*', 'fail-at-start');
  due.splice(0).forEach(({ run }) => run());
  await filled(daemon, 1);
  assert.equal((await daemon.api.daemon()).spares.problem, null);
  await done(daemon.api, daemon.api.beginVm('web', 'delete'));
});

test('an image is deleted with its spare (10.2)', async (t) => {
  const { daemon } = await poolFor(t, 1);
  await done(daemon.api, daemon.api.deleteImage('default'));
  assert.deepEqual([daemon.services.vms.records.listAll(), daemon.world.remains()], [[], []]);
});
