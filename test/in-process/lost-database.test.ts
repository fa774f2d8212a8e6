// The database is lost, or is an old one: VMs come back from the manifests beside their disks, and what belongs to none is swept.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { VmView } from '../../src/api/schemas.ts';
import { vmPaths } from '../../src/model/paths.ts';
import type { VmState } from '../../src/model/vm-state.ts';
import type { Vm, VmRuntime } from '../../src/model/vm.ts';
import { forceState } from '../support/daemon/force-state.ts';
import { assertMarked, assertSound, mark } from '../support/daemon/soundness.ts';
import { created, done, fakeOf, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

type Lives = { world: TestWorld; start: () => Promise<TestDaemon>; losesDatabase: (daemon: TestDaemon) => Promise<void> };

function livesFor(t: TestContext): Lives {
  const world = createTestWorld();
  let last: TestDaemon | undefined;
  t.after(async () => {
    await last?.stop();
    world.remove();
  });
  return {
    world,
    start: async () => (last = await startDaemon(world)),
    async losesDatabase(daemon) {
      await daemon.kill();
      // The log beside it stays, as when somebody removes the one file that is named in an error.
      rmSync(join(world.directories.stateDirectory, 'banger.db'));
    },
  };
}

const pathsOf = (world: TestWorld, vm: { id: string }) => vmPaths(world.directories, vm);
const lasting = ({ id, name, image, spec, address, createdAt, state, pid, storageDriver }: VmView) => {
  return { id, name, image, spec, address, createdAt, state, pid, storageDriver };
};

test('if the database is lost, VMs are restored with all they had: the running one is adopted, and disks keep what was written (3.8, 9.5)', async (t) => {
  const { world, start, losesDatabase } = livesFor(t);
  const first = await start();
  const vms = [await created(first.api, 'runs', { vcpuCount: 3 }), await created(first.api, 'rests', { start: false, nat: false })];
  for (const vm of vms) mark(world, vm);
  await done(first.api, first.api.beginVm('rests', 'set', { name: 'renamed', workDiskBytes: 9 * 1024 ** 3 }));
  const before = (await first.api.listVms()).map(lasting);
  const keys = await Promise.all(before.map(({ name }) => first.api.sshAccess(name)));
  await losesDatabase(first);
  const second = await start();
  assert.deepEqual((await assertSound(second, 'restored')).map(lasting), before);
  assert.deepEqual(await Promise.all(before.map(({ name }) => second.api.sshAccess(name))), keys);
  assert.equal((await second.api.health('runs')).agent, 'ok');
  await done(second.api, second.api.beginVm('renamed', 'start'));
  for (const vm of vms) assertMarked(world, vm, 'after the loss');
  for (const { name } of before) await done(second.api, second.api.beginVm(name, 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('a VM that was being deleted when the database was lost is gone, and so is a half-made one (9.5)', async (t) => {
  const { world, start, losesDatabase } = livesFor(t);
  const first = await start();
  for (const name of ['deleted', 'half']) await created(first.api, name, { start: false });
  const [deleted, half] = await first.api.listVms();
  forceState(first.services, deleted?.id ?? '', 'deleting');
  forceState(first.services, half?.id ?? '', 'creating');
  rmSync(pathsOf(world, { id: half?.id ?? '' }).workDisk);
  await losesDatabase(first);
  const second = await start();
  assert.deepEqual(await second.api.listVms(), []);
  assert.deepEqual(world.remains(), []);
});

test('a VM whose manifest alone says that it was being created is kept, and the user decides (9.5)', async (t) => {
  const { world, start, losesDatabase } = livesFor(t);
  const first = await start();
  const vm = await created(first.api, 'web', { start: false });
  mark(world, vm);
  forceState(first.services, vm.id, 'creating');
  await losesDatabase(first);
  const second = await start();
  const found = await second.api.showVm('web');
  assert.equal(found.state, 'stopped');
  assertMarked(world, vm, 'kept');
});

test('with an older database, newer VMs are restored beside the old ones, under another name if theirs is taken (9.5)', async (t) => {
  const { start } = livesFor(t);
  const first = await start();
  await created(first.api, 'web', { start: false });
  const vm = await created(first.api, 'other', { start: false });
  await first.stop();
  const second = await start();
  // As if the database were from before: another VM has the name and the number of the one that it does not know.
  const { id, networkIndex } = second.services.vms.records.find(vm.id) ?? { id: '', networkIndex: 0 };
  second.services.vms.records.remove(id);
  const taker = await created(second.api, 'other', { start: false });
  assert.equal(second.services.vms.records.find(taker.id)?.networkIndex, networkIndex);
  await second.stop();
  const third = await start();
  const names = (await third.api.listVms()).map(({ name }) => name).toSorted();
  assert.deepEqual(names, ['other', `other-${vm.id.slice(0, 8)}`, 'web']);
  assert.notEqual((await third.api.showVm(vm.id)).address, (await third.api.showVm('other')).address);
  await done(third.api, third.api.beginVm(vm.id, 'start'));
});

type OldRecord = [
  what: string,
  state: VmState,
  change: { runtime?: Partial<VmRuntime>; startedAt?: null; name?: string },
  manifest?: 'lost',
];
const OF_ANOTHER_BOOT = { bootId: 'long ago', hypervisor: 'fake', process: { pid: 4, startTicks: 4 } };
const AT_REST = { runtime: { bootId: 'long ago' }, startedAt: null };
const OLD_RECORDS: OldRecord[] = [
  ['it was stopped', 'stopped', AT_REST],
  ['it was stopped, and its manifest is lost too', 'stopped', AT_REST, 'lost'],
  ['it was being started', 'starting', { startedAt: null }],
  ['it was being stopped', 'stopping', {}],
  ['it was being created', 'creating', AT_REST],
  ['no user had it yet', 'spare', { ...AT_REST, name: 'spare.00000000' }],
  ['it ran in another boot of the host', 'running', { runtime: OF_ANOTHER_BOOT }],
  ['it ran in another boot of the host, and its manifest is lost too', 'running', { runtime: OF_ANOTHER_BOOT }, 'lost'],
];
for (const [what, state, change, isLost] of OLD_RECORDS) {
  test(`a VM continues to run when the database is a copy from when ${what} (3.8, 9.5, 10.7)`, async (t) => {
    const { world, start } = livesFor(t);
    const first = await start();
    const vm = await created(first.api, 'web');
    mark(world, vm);
    const { manifest } = pathsOf(world, vm);
    const text = readFileSync(manifest, 'utf8');
    const { storageDriver } = first.services.vms.records.find(vm.id)?.runtime ?? {};
    const runtime = { bootId: '', storageDriver, ...change.runtime } as VmRuntime;
    forceState(first.services, vm.id, state, { ...change, ...(change.runtime === undefined ? {} : { runtime }) } as Partial<Vm>);
    await first.kill();
    writeFileSync(manifest, isLost === undefined ? text : '{');
    const { api } = await start();
    const found = await api.showVm('web');
    assert.deepEqual([found.state, found.pid, found.lastError], ['running', vm.pid, null]);
    assert.deepEqual([fakeOf(world, 'web').process.pid, (await api.health('web')).agent], [vm.pid, 'ok']);
    assert.deepEqual([...world.network.taps], [`bgr-${vm.id.slice(0, 8)}`]);
    await done(api, api.beginVm('web', 'restart'));
    assertMarked(world, vm, 'after a restart');
    await done(api, api.beginVm('web', 'delete'));
    assert.deepEqual(world.remains(), []);
  });
}

test('a stop and a delete that the daemon did not survive are finished, whatever an old manifest says (3.5, 9.5)', async (t) => {
  const { world, start } = livesFor(t);
  const first = await start();
  const vms = [await created(first.api, 'stopped'), await created(first.api, 'deleted')];
  const texts = vms.map((vm) => readFileSync(pathsOf(world, vm).manifest, 'utf8'));
  await done(first.api, first.api.beginVm('stopped', 'stop'));
  forceState(first.services, vms[1]?.id ?? '', 'deleting');
  await first.kill();
  vms.forEach((vm, at) => writeFileSync(pathsOf(world, vm).manifest, texts[at] ?? ''));
  const { api } = await start();
  assert.deepEqual(
    (await api.listVms()).map(({ name, state }) => [name, state]),
    [['stopped', 'stopped']],
  );
  await done(api, api.beginVm('stopped', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('sockets and empty directories of unknown VMs are swept; running VMMs and disks are kept, and doctor reports them (3.8, 9.5, 10.7)', async (t) => {
  const { world, start } = livesFor(t);
  const first = await start();
  const gone = await created(first.api, 'gone');
  const kept = await created(first.api, 'kept', { start: false });
  const machine = fakeOf(world, 'gone');
  await first.kill();
  rmSync(join(world.directories.stateDirectory, 'banger.db'));
  // Of one everything that must survive is lost, of the other only what tells what it is.
  rmSync(pathsOf(world, gone).directory, { recursive: true });
  writeFileSync(pathsOf(world, kept).manifest, '{"formatVersion": 1, "id":');
  const empty = pathsOf(world, { id: 'e'.repeat(32) });
  mkdirSync(empty.directory);
  writeFileSync(empty.sshHostKey, 'of nobody');
  writeFileSync(join(world.directories.stateDirectory, 'vms', 'notes.txt'), 'the user put it here');
  const second = await start();
  assert.deepEqual(await second.api.listVms(), []);
  assert.equal(machine.exit, undefined);
  assert.deepEqual([[...world.network.taps], existsSync(pathsOf(world, gone).runtimeDirectory)], [[`bgr-${gone.id.slice(0, 8)}`], true]);
  const { findings } = await second.api.doctor();
  assert.ok(findings.some(({ name, reason }) => name === 'unknown-vm' && reason.includes(`process ${machine.process.pid} `)));
  const { workDisk } = pathsOf(world, kept);
  assert.ok(existsSync(workDisk));
  assert.deepEqual(readdirSync(join(world.directories.stateDirectory, 'vms')).toSorted(), [kept.id, 'notes.txt'].toSorted());
  await second.stop();
  assert.equal(world.network.isUp, true, 'what the machine uses stays');
  machine.end({ cause: 'guest-poweroff', detail: 'it ended by itself' });
  await start();
  assert.deepEqual([[...world.network.taps], existsSync(pathsOf(world, gone).runtimeDirectory)], [[], false]);
  rmSync(pathsOf(world, kept).directory, { recursive: true });
});

test('VMs from before manifests get one when a daemon starts (9.5)', async (t) => {
  const { world, start } = livesFor(t);
  const first = await start();
  const vm = await created(first.api, 'web', { start: false });
  await first.stop();
  const { manifest } = pathsOf(world, vm);
  const text = readFileSync(manifest, 'utf8');
  rmSync(manifest);
  await start();
  await until(() => existsSync(manifest));
  assert.equal(readFileSync(manifest, 'utf8'), text);
});
