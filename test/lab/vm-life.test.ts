// Whole lives of VMs of an ordinary user through the built CLI, on the root path: helper, bridge, dm-snapshot, jails, nested KVM.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { eventually, guest, hear, useSandbox, vmmPid } from '../support/machine/e2e.ts';
import {
  type Drivers,
  LONG,
  SMALL,
  environmentOf,
  pictureOfHost,
  useInstalledHelper,
  withoutFirecracker,
} from '../support/machine/lab-host.ts';
import type { Sandbox } from '../support/machine/sandbox.ts';

/** Each pair of choices is in one of them: jailed or not, rootless network or bridge, a file or a mapped device. */
const COMBINATIONS: readonly Drivers[] = [
  { hypervisor: 'firecracker-jailed', network: 'private', storage: 'dm-snapshot' },
  { hypervisor: 'firecracker-jailed', network: 'bridge', storage: 'copy' },
  { hypervisor: 'firecracker', network: 'private', storage: 'copy' },
  { hypervisor: 'firecracker', network: 'bridge', storage: 'dm-snapshot' },
];
const WITH_QEMU: Drivers = { hypervisor: 'qemu', network: 'bridge', storage: 'dm-snapshot' };

useInstalledHelper();

for (const drivers of [...COMBINATIONS, WITH_QEMU]) {
  const { hypervisor, network, storage } = drivers;
  describe(`a life with ${hypervisor}, ${network}, ${storage}`, { skip: hypervisor !== 'qemu' && withoutFirecracker }, () => live(drivers));
}

function live(drivers: Drivers): void {
  const { hypervisor, network, storage } = drivers;
  let untouched = '';
  before(async () => {
    untouched = await pictureOfHost();
  });
  const sandbox = useSandbox({ env: environmentOf(drivers), settleMs: 30_000 });

  test('create, exec, ssh and a port (3.3, 3.12, 3.13, 4.1, 6.4)', async () => {
    await sandbox().must(['vm', 'create', '--name', 'web', ...SMALL], LONG);
    const web = guest(sandbox(), 'web');
    const { hypervisor: vmm, networkDriver, storageDriver, accelerator, address } = await web.show();
    assert.deepEqual([vmm, networkDriver, storageDriver, accelerator], [hypervisor, network, storage, 'kvm']);
    assert.equal(await web.sh('hostname; cat /proc/sys/kernel/osrelease | grep -c cloud'), 'web\n1');
    assert.match(await sandbox().must(['vm', 'ssh', 'web', '--', 'hostname']), /web/);
    await web.sh('setsid systemd-socket-activate --listen=0.0.0.0:8000 --accept --inetd echo hello >/dev/null 2>&1 &');
    await eventually(
      'the port',
      () => hear(sandbox(), address, 8000),
      (said) => said === 'hello',
    );
  });

  test('both disks keep what was written over a restart, and a power-off from inside (3.5, 3.6)', async () => {
    const web = guest(sandbox(), 'web');
    await web.sh('echo kept | tee /root/marker /srv/marker; sync');
    await sandbox().must(['vm', 'restart', 'web'], LONG);
    assert.equal(await web.sh('cat /root/marker /srv/marker'), 'kept\nkept');
    // The agent is there before systemd takes orders.
    await web.sh('until systemctl is-system-running | grep -Eq "running|degraded"; do sleep 1; done', LONG);
    await sandbox().banger(['vm', 'exec', 'web', '--', 'systemctl', 'poweroff']);
    await eventually(
      'the end',
      async () => (await web.show()).state,
      (state) => state === 'stopped',
    );
    assert.equal((await web.show()).lastError, null);
    await sandbox().must(['vm', 'start', 'web'], LONG);
    assert.equal(await web.sh('cat /root/marker /srv/marker'), 'kept\nkept');
  });

  describeEnds(sandbox, () => untouched);
}

function describeEnds(sandbox: () => Sandbox, untouched: () => string): void {
  test('a VMM that hangs is stopped by force, a killed one is noticed, and delete leaves nothing (3.5, 3.8)', async () => {
    const web = guest(sandbox(), 'web');
    process.kill(await vmmPid(web), 'SIGSTOP');
    await sandbox().must(['vm', 'stop', 'web', '--grace', '1s']);
    await sandbox().must(['vm', 'start', 'web'], LONG);
    await sandbox().must(['vm', 'kill', 'web']);
    await eventually(
      'the end',
      async () => (await web.show()).state,
      (state) => state === 'stopped',
      30_000,
    );
    await sandbox().must(['vm', 'delete', 'web']);
  });

  test('the host is as it was before (5.2, 6.2, 9.5)', async () => {
    await sandbox().close();
    await eventually('an untouched host', pictureOfHost, (now) => now === untouched(), 30_000);
  });
}
