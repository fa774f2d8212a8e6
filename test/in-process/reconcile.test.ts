import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { MachineExit } from '../../src/drivers/hypervisor/contract.ts';
import { assertMarked, assertSound, mark } from '../support/daemon/soundness.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

/** A world, and a way to start daemons on it of which the last is stopped after the test. */
function worldFor(t: TestContext): { world: TestWorld; start: () => Promise<TestDaemon> } {
  const world = createTestWorld();
  let last: TestDaemon | undefined;
  t.after(async () => {
    await last?.stop();
    world.remove();
  });
  return { world, start: async () => (last = await startDaemon(world)) };
}

const stateOf = async ({ api }: TestDaemon): Promise<string | undefined> => (await api.listVms())[0]?.state;

const ENDINGS: Record<string, { cause: MachineExit['cause']; lastError: RegExp | null }> = {
  'powers off': { cause: 'guest-poweroff', lastError: null },
  panics: { cause: 'guest-panic', lastError: /ended unexpectedly: it happened/ },
  crashes: { cause: 'crash', lastError: /ended unexpectedly: it happened/ },
};

for (const [what, { cause, lastError }] of Object.entries(ENDINGS)) {
  test(`a VM that ${what} by itself is stopped and cleaned up (3.8)`, async (t) => {
    const daemon = await daemonFor(t);
    await created(daemon.api, 'web');
    fakeOf(daemon.world, 'web').end({ cause, detail: 'it happened' });
    await until(async () => (await stateOf(daemon)) === 'stopped');
    const vm = await daemon.api.showVm('web');
    assert.equal(vm.pid, null);
    if (lastError === null) assert.equal(vm.lastError, null);
    else assert.match(vm.lastError ?? '', lastError);
    assert.deepEqual([[...daemon.world.names.keys()], [...daemon.world.network.taps]], [[], []]);
    await done(daemon.api, daemon.api.beginVm('web', 'start'));
    assert.equal((await daemon.api.showVm('web')).lastError, null);
  });
}

test('a guest that reboots is booted again, as an operation that can be seen (3.8)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web');
  const first = fakeOf(daemon.world, 'web');
  first.end({ cause: 'guest-reset', detail: 'reboot' });
  await until(() => daemon.services.operations.list()[0]?.verb === 'vm.start');
  const [start] = await daemon.api.listOperations();
  assert.equal((await ended(daemon.api, start ?? { id: '' })).state, 'done');
  assert.notEqual(fakeOf(daemon.world, 'web').process.pid, first.process.pid);
  assert.equal((await daemon.api.showVm('web')).state, 'running');
});

test('VMs continue when the daemon ends, and the next one adopts them (1.2, 3.8)', async (t) => {
  const { world, start } = worldFor(t);
  const first = await start();
  await created(first.api, 'web');
  const { pid } = fakeOf(world, 'web').process;
  await first.stop();
  assert.equal(world.network.isUp, true);
  const second = await start();
  const vm = await second.api.showVm('web');
  assert.deepEqual([vm.state, vm.pid], ['running', pid]);
  assert.equal((await second.api.health('web')).agent, 'ok');
  assert.deepEqual([...world.names.keys()], ['web']);
  await done(second.api, second.api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('a VMM that died while no daemon ran is cleaned up, and the VM says so (3.8)', async (t) => {
  const { world, start } = worldFor(t);
  const first = await start();
  await created(first.api, 'dead');
  await first.kill();
  fakeOf(world, 'dead').end({ cause: 'crash', detail: 'killed' });
  const second = await start();
  const { state, pid, lastError } = await second.api.showVm('dead');
  assert.deepEqual([state, pid], ['stopped', null]);
  assert.match(lastError ?? '', /had ended when the daemon came back/);
  assert.deepEqual([world.machines.machines.size, world.network.taps.size, world.names.size], [0, 0, 0]);
});

test('a process that has the pid of a dead VMM is neither adopted nor signalled (3.8)', async (t) => {
  const { world, start } = worldFor(t);
  const first = await start();
  const vm = await created(first.api, 'web');
  const { pid } = fakeOf(world, 'web').process;
  await first.kill();
  fakeOf(world, 'web').end({ cause: 'crash', detail: 'killed' });
  // The pid goes to another machine, started later.
  const other = world.machines.spawn({ ...specOf(vm.id), runtimeDirectory: '/elsewhere', vmName: 'stranger' });
  Object.assign(other.process, { pid });
  const second = await start();
  assert.equal((await second.api.showVm('web')).state, 'stopped');
  assert.equal(other.exit, undefined);
  other.end({ cause: 'host-request', detail: 'the test is over' });
});

function specOf(vmId: string): Parameters<TestWorld['machines']['spawn']>[0] {
  const paths = { kernelPath: '', initramfsPath: '', runtimeDirectory: '', serialLogPath: '', vmmLogPath: '' };
  return {
    vmId,
    vmName: '',
    vcpuCount: 1,
    memoryMib: 128,
    kernelArguments: [],
    disks: [],
    network: { kind: 'none' },
    commandPrefix: [],
    ...paths,
  };
}

test('after a reboot of the host all VMs are stopped, their disks are intact, and no recorded pid is signalled (3.8, 9.5)', async (t) => {
  const { world, start } = worldFor(t);
  const first = await start();
  const vms = [await created(first.api, 'one'), await created(first.api, 'two')];
  for (const vm of vms) mark(world, vm);
  await first.kill();
  // All that is in memory is gone, and a stranger has the pid and even the start time of a VMM.
  const { process } = fakeOf(world, 'one');
  for (const machine of world.machines.machines.values()) machine.end({ cause: 'crash', detail: 'power cut' });
  world.network.taps.clear();
  world.storage.attached.clear();
  rmSync(`${world.directories.runtimeDirectory}/v`, { recursive: true });
  const stranger = world.machines.spawn({ ...specOf(vms[0]?.id ?? ''), runtimeDirectory: '/elsewhere', vmName: 'stranger' });
  Object.assign(stranger.process, process);
  world.host = { ...world.host, bootId: () => 'the next boot' };
  const second = await start();
  for (const { state, lastError } of await second.api.listVms()) {
    assert.deepEqual([state, lastError], ['stopped', 'the VM had ended when the daemon came back']);
  }
  assert.equal(stranger.exit, undefined);
  stranger.end({ cause: 'host-request', detail: 'the test is over' });
  await assertSound(second, 'after the reboot');
  for (const vm of vms) {
    await done(second.api, second.api.beginVm(vm.name, 'start'));
    assertMarked(world, vm, 'after the reboot');
  }
});

test('network objects that belong to no VM are swept when a daemon starts (3.8, 9.5)', async (t) => {
  const { world, start } = worldFor(t);
  world.network.taps.add('bgr-0badcafe');
  await start();
  assert.deepEqual(world.remains(), []);
});

test('the private network ends with the daemon if no VM runs, and stays if one does (9.5)', async (t) => {
  const { world, start } = worldFor(t);
  const first = await start();
  await created(first.api, 'web');
  await done(first.api, first.api.beginVm('web', 'stop'));
  assert.equal(world.network.isUp, true);
  await first.stop();
  assert.equal(world.network.isUp, false);
  const second = await start();
  await done(second.api, second.api.beginVm('web', 'start'));
  await second.stop();
  assert.equal(world.network.isUp, true);
});

test('the logs of the 20 newest failed creations are kept (9.1)', async (t) => {
  const { world, start } = worldFor(t);
  const first = await start();
  const vm = await created(first.api, 'web', { start: false });
  await first.stop();
  const logs = `${world.directories.stateDirectory}/logs`;
  for (let n = 10; n < 40; n++) {
    mkdirSync(`${logs}/old${n}`);
    writeFileSync(`${logs}/old${n}/serial.log`, 'why');
    utimesSync(`${logs}/old${n}`, n, n);
  }
  // The VM's own logs are the oldest of all, and stay.
  utimesSync(`${logs}/${vm.id}`, 1, 1);
  await start();
  const expected = Array.from({ length: 20 }, (_, at) => `old${at + 20}`);
  assert.deepEqual(readdirSync(logs).toSorted(), [vm.id, ...expected].toSorted());
});
