// VMs whose guests write what the host has no room for: on storage that must be given space ahead, and under a VMM that does not pause them by itself.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFakeHypervisor } from '../../src/drivers/hypervisor/fake/driver.ts';
import type { Machine } from '../../src/drivers/hypervisor/contract.ts';
import type { Disk, DiskUsage } from '../../src/drivers/storage/contract.ts';
import { createFakeStorage } from '../support/daemon/fake-storage.ts';
import { created, done, fakeOf, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';

const MIB = 1024 ** 2;

type Setting = {
  daemon: TestDaemon;
  /** Lets the guest write; what it has then. */
  write: (mib: number) => void;
  usage: () => DiskUsage;
  /** How often the driver was asked for the usage. */
  looks: () => number;
  restart: () => Promise<void>;
};

async function runningVm(t: TestContext): Promise<Setting> {
  const world = createTestWorld();
  t.after(() => world.remove());
  let looks = 0;
  const start = async (): Promise<TestDaemon> => {
    const storage = createFakeStorage({ host: world.host, world: world.storage, metered: true });
    const usage = (disk: Disk): Promise<DiskUsage> => {
      looks++;
      return storage.root.usage?.(disk) ?? assert.fail();
    };
    const counted = { ...storage, root: { ...storage.root, usage } };
    const daemon = await startDaemon(world, { drivers: { storages: [counted] } });
    t.after(() => daemon.stop());
    return daemon;
  };
  const setting: Setting = {
    daemon: await start(),
    usage: () => world.storage.attached.values().next().value ?? assert.fail('nothing is attached'),
    write: (mib) => {
      const [vmId = ''] = world.storage.attached.keys();
      world.storage.attached.set(vmId, { ...setting.usage(), usedBytes: mib * MIB });
    },
    looks: () => looks,
    restart: async () => {
      await setting.daemon.stop();
      setting.daemon = await start();
    },
  };
  await created(setting.daemon.api, 'web');
  return setting;
}

test('an overlay gets more space before the guest has used up what it has (5.1, 5.4)', async (t) => {
  const { daemon, write, usage } = await runningVm(t);
  write(200);
  await until(() => usage().sizeBytes > 256 * MIB);
  assert.equal(usage().sizeBytes, 712 * MIB);
  assert.equal((await daemon.api.showVm('web')).lastError, null);
});

test('a VM without space is paused, says so, and continues by itself once there is space (5.4)', async (t) => {
  const { daemon, write } = await runningVm(t);
  const vmm = fakeOf(daemon.world, 'web');
  daemon.world.storage.freeBytes = 100 * MIB;
  write(200);
  await until(() => vmm.paused);
  await until(async () => (await daemon.api.showVm('web')).lastError !== null);
  assert.match((await daemon.api.showVm('web')).lastError ?? '', /^the host's disk is full: it is paused/);
  assert.equal((await daemon.api.showVm('web')).state, 'running');
  daemon.world.storage.freeBytes = 1000 * MIB;
  await until(() => !vmm.paused);
  await until(async () => (await daemon.api.showVm('web')).lastError === null);
  assert.equal(daemon.log.filter(({ msg }) => msg === 'a VM has a problem with its disk').length, 1, 'it was told again and again');
});

test('a paused VM that a new daemon adopts continues as well (3.8, 5.4)', async (t) => {
  const setting = await runningVm(t);
  const vmm = fakeOf(setting.daemon.world, 'web');
  setting.daemon.world.storage.freeBytes = 0;
  setting.write(200);
  await until(() => vmm.paused);
  await until(async () => (await setting.daemon.api.showVm('web')).lastError !== null);
  await setting.restart();
  assert.ok(vmm.paused);
  setting.daemon.world.storage.freeBytes = 1000 * MIB;
  await until(() => !vmm.paused);
});

test('a disk that ran full nevertheless becomes the VM’s last error, until it is attached again (5.2, 5.4)', async (t) => {
  const { daemon, usage } = await runningVm(t);
  const [vmId = ''] = daemon.world.storage.attached.keys();
  daemon.world.storage.attached.set(vmId, { ...usage(), state: 'overflow' });
  await until(async () => (await daemon.api.showVm('web')).lastError !== null);
  assert.match((await daemon.api.showVm('web')).lastError ?? '', /its root disk is full/);
  await done(daemon.api, daemon.api.beginVm('web', 'restart'));
  assert.equal((await daemon.api.showVm('web')).lastError, null);
});

test('the daemon does not check while no such VM runs (5.4)', async (t) => {
  const { daemon, looks } = await runningVm(t);
  await until(() => looks() > 0);
  await done(daemon.api, daemon.api.beginVm('web', 'stop'));
  const before = looks();
  await sleep(1500);
  assert.equal(looks(), before);
});

/** A daemon whose VMM, as Firecracker, hands a full disk to the guest, on a host whose free space the test sets. */
async function vmOfSimpleVmm(t: TestContext): Promise<{
  daemon: () => TestDaemon;
  restart(): Promise<void>;
  setFree(mib: number): void;
  isHeld: () => boolean;
}> {
  const world = createTestWorld();
  t.after(() => world.remove());
  let freeMib = 1000;
  const host = { ...world.host, freeBytes: () => Promise.resolve(freeMib * MIB) };
  const fake = createFakeHypervisor({ host, world: world.machines });
  let isHeld = false;
  const simple = (machine: Machine): Machine => {
    delete machine.onFullDisk;
    machine.holdDisks = (held) => Promise.resolve(void (isHeld = held));
    return machine;
  };
  const hypervisor = {
    ...fake,
    start: async (...words: Parameters<typeof fake.start>) => simple(await fake.start(...words)),
    adopt: async (...words: Parameters<typeof fake.adopt>) => {
      const machine = await fake.adopt(...words);
      return machine === undefined ? undefined : simple(machine);
    },
  };
  const start = async (): Promise<TestDaemon> => {
    const daemon = await startDaemon(world, { drivers: { host, hypervisors: [hypervisor] } });
    t.after(() => daemon.stop());
    return daemon;
  };
  let daemon = await start();
  await created(daemon.api, 'web');
  return {
    daemon: () => daemon,
    isHeld: () => isHeld,
    setFree: (mib) => (freeMib = mib),
    async restart() {
      await daemon.stop();
      daemon = await start();
    },
  };
}

test("if the VMM does not do it, the daemon holds a VM's disks before the host's disk is full, also after a restart of the daemon (3.8, 5.4)", async (t) => {
  const { daemon, restart, setFree, isHeld } = await vmOfSimpleVmm(t);
  const problem = async (): Promise<string | null> => (await daemon().api.showVm('web')).lastError;
  assert.equal(isHeld(), false);
  setFree(60);
  await until(async () => (await problem()) !== null);
  assert.ok(isHeld());
  assert.match((await problem()) ?? '', /^the host's disk is full: its disks wait until there are 128 MiB again/);
  await restart();
  setFree(100);
  await sleep(100);
  assert.ok(isHeld(), 'between the marks all stays');
  assert.match((await problem()) ?? '', /^the host's disk is full/);
  setFree(200);
  await until(async () => (await problem()) === null);
  assert.equal(isHeld(), false);
});

test('a problem that cannot be recorded because the disk is full is reported once it can be (5.4)', async (t) => {
  const { daemon, setFree, isHeld } = await vmOfSimpleVmm(t);
  const vms = daemon().services.vms.records;
  const update = t.mock.method(vms, 'update', () => {
    throw new Error('database or disk is full');
  });
  setFree(10);
  await until(() => update.mock.callCount() > 1);
  assert.ok(isHeld());
  update.mock.restore();
  await until(async () => (await daemon().api.showVm('web')).lastError !== null);
  assert.match((await daemon().api.showVm('web')).lastError ?? '', /its disks wait/);
});
