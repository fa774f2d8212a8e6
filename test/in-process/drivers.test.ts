// Which drivers a VM gets, and that it keeps them.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Hypervisor } from '../../src/drivers/hypervisor/contract.ts';
import { createFakeHypervisor } from '../../src/drivers/hypervisor/fake/driver.ts';
import { createCopyStorage } from '../../src/drivers/storage/copy/driver.ts';
import { createQcow2Storage } from '../../src/drivers/storage/qcow2/driver.ts';
import { realHost } from '../../src/host/host.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, done, ended, startDaemon, type TestDaemon, type TestDrivers } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

/** The fake under another name. @param change what it can do */
function vmm(world: TestWorld, name: string, change: Partial<Hypervisor> = {}): Hypervisor {
  return { ...createFakeHypervisor({ host: world.host, world: world.machines }), name, ...change };
}

/** A VMM that takes raw disks alone. */
function rawOnly(world: TestWorld, change: Partial<Hypervisor> = {}): Hypervisor {
  return vmm(world, 'swift', { takes: { diskFormats: ['raw'], networks: ['tap', 'none'] }, ...change });
}

const noKvm: Partial<Hypervisor> = {
  checks: () =>
    Promise.resolve({
      accelerator: 'kvm',
      findings: [{ name: 'swift.kvm', level: 'fail', reason: 'there is no /dev/kvm', remedy: 'sudo modprobe kvm' }],
    }),
};

async function daemonOf(t: TestContext, world: TestWorld, drivers: TestDrivers, env: Record<string, string> = {}): Promise<TestDaemon> {
  const daemon = await startDaemon(world, { drivers, env });
  t.after(() => daemon.stop());
  return daemon;
}

function worldOf(t: TestContext): TestWorld {
  const world = createTestWorld();
  t.after(() => world.remove());
  return world;
}

test('a VM with a qcow2 disk keeps the VMM that accepts it when a better VMM appears, and the start says why (4.3)', async (t) => {
  const world = worldOf(t);
  // Its overlay is a file with a header, made without any program; only `checks` would run qemu-img.
  const qcow2 = { ...createQcow2Storage({ host: realHost }), checks: createCopyStorage({ host: realHost }).checks };
  const storages = [qcow2, createCopyStorage({ host: realHost })];
  const first = await daemonOf(t, world, { hypervisors: [vmm(world, 'broad')], storages });
  const old = await created(first.api, 'old');
  assert.deepEqual([old.hypervisor, old.storageDriver], ['broad', 'qcow2']);
  await done(first.api, first.api.beginVm('old', 'stop'));
  await first.stop();

  const second = await daemonOf(t, world, { hypervisors: [rawOnly(world), vmm(world, 'broad')], storages });
  const fresh = await created(second.api, 'fresh');
  assert.deepEqual([fresh.hypervisor, fresh.storageDriver], ['swift', 'copy'], 'new VMs get a disk that the better VMM takes');
  const start = await ended(second.api, await second.api.beginVm('old', 'start'));
  assert.equal(start.state, 'done');
  const kept = await second.api.showVm('old');
  assert.deepEqual([kept.hypervisor, kept.storageDriver], ['broad', 'qcow2']);
  assert.ok(start.events.some((event) => event.type === 'log' && /runs on broad: .*qcow2, which swift does not take/.test(event.line)));
  for (const name of ['old', 'fresh']) await done(second.api, second.api.beginVm(name, 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('if the VMM named in the configuration does not work, the daemon starts and refuses creates (4.3, 9.2)', async (t) => {
  const world = worldOf(t);
  const hypervisors = [rawOnly(world, noKvm), vmm(world, 'broad')];
  const { api } = await daemonOf(t, world, { hypervisors }, { BANGER_HYPERVISOR: 'swift' });
  await assert.rejects(api.createVm({ name: 'web' }, false), { code: 'PREREQUISITE_MISSING', remedy: 'sudo modprobe kvm' });
  assert.deepEqual(await api.listVms(), []);
  const status = await api.daemon();
  assert.match(status.drivers.hypervisor.reason, /there is no \/dev\/kvm/);
  const doctor = await runInProcess(world.env, ['doctor']);
  assert.equal(doctor.exitCode, 3);
  assert.match(doctor.stdout, /✗ fail +drivers +no VM can be started: there is no \/dev\/kvm\n +try: sudo modprobe kvm/);
});

test('the next create finds what works by then, without a new daemon (4.3)', async (t) => {
  const world = worldOf(t);
  let isThere = false;
  const swift = rawOnly(world);
  const late: Hypervisor = { ...swift, checks: () => (isThere ? swift.checks() : (noKvm.checks ?? swift.checks)()) };
  const { api } = await daemonOf(t, world, { hypervisors: [late] });
  await assert.rejects(api.createVm({ name: 'web' }, false), { code: 'PREREQUISITE_MISSING' });
  isThere = true;
  assert.equal((await created(api, 'web')).hypervisor, 'swift');
  await done(api, api.beginVm('web', 'delete'));
});

test('doctor shows one table of what each driver can do here, and a driver that is not configured cannot fail it (9.3)', async (t) => {
  const world = worldOf(t);
  await daemonOf(t, world, { hypervisors: [rawOnly(world, noKvm), vmm(world, 'broad')] });
  const json = JSON.parse((await runInProcess(world.env, ['doctor', '-o', 'json'])).stdout) as { drivers: Record<string, unknown>[] };
  assert.deepEqual(
    json.drivers.map(({ kind, name, usable, chosen }) => [kind, name, usable, chosen]),
    [
      ['hypervisor', 'swift', false, false],
      ['hypervisor', 'broad', true, true],
      ['network', 'fake', true, true],
      ['storage', 'copy', true, true],
    ],
  );
  const { stdout } = await runInProcess(world.env, ['doctor']);
  assert.match(stdout, /^KIND +DRIVER +HERE +WHY$/m);
  assert.match(stdout, /^hypervisor +swift \(kvm\) +no +there is no \/dev\/kvm\n +try: sudo modprobe kvm$/m);
  assert.match(stdout, /^hypervisor +broad \(tcg\) +chosen /m);
  assert.doesNotMatch(stdout, /fail +(swift|drivers)/);
});

test('a driver whose check throws counts as not working (9.3)', async (t) => {
  const world = worldOf(t);
  const broken = rawOnly(world, { checks: () => Promise.reject(new Error('boom')) });
  const { api } = await daemonOf(t, world, { hypervisors: [broken, vmm(world, 'broad')] });
  const { drivers } = await api.doctor();
  assert.match(drivers.find(({ name }) => name === 'swift')?.reason ?? '', /its check failed: boom/);
  assert.equal((await api.daemon()).drivers.hypervisor.name, 'broad');
});

test('a root disk is not grown if its driver lacks a program for it, and the rest of the request is not done either (3.7, 9.2)', async (t) => {
  const world = worldOf(t);
  const copy = createCopyStorage({ host: world.host });
  const lacking = { name: 'confinement', level: 'fail', reason: 'nothing can be confined', remedy: 'sudo make room' } as const;
  const storages = [{ ...copy, root: { ...copy.root, growChecks: () => Promise.resolve([lacking]) } }];
  const { api } = await daemonOf(t, world, { storages });
  const { spec } = await created(api, 'web', { start: false });
  const { error } = await ended(api, await api.beginVm('web', 'set', { rootOverlayBytes: 2 * spec.rootOverlayBytes, vcpuCount: 4 }));
  assert.deepEqual([error?.code, error?.message, error?.remedy], ['PREREQUISITE_MISSING', lacking.reason, lacking.remedy]);
  assert.deepEqual((await api.showVm('web')).spec, spec);
});
