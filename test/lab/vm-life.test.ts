// Whole lives of VMs of an ordinary user through the built CLI, on the root path: helper, bridge, dm-snapshot, jails, nested KVM.
import '../support/in-lab.ts';
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { run } from '../../src/host/spawn.ts';
import { eventually, guest, hear, useSandbox } from '../support/e2e.ts';
import { PROGRAM, type Sandbox } from '../support/sandbox.ts';
import { testUser } from '../support/unprivileged.ts';

const { BANGER_FIRECRACKER: firecracker, BANGER_JAILER: jailer } = process.env;
const hasFirecracker = firecracker !== undefined && jailer !== undefined;
const skip = hasFirecracker ? false : 'BANGER_FIRECRACKER and BANGER_JAILER name no programs';

type Drivers = { hypervisor: string; network: 'private' | 'bridge'; storage: 'copy' | 'dm-snapshot' };
/** Each pair of choices is in one of them: jailed or not, rootless network or bridge, a file or a mapped device. */
const COMBINATIONS: readonly Drivers[] = [
  { hypervisor: 'firecracker-jailed', network: 'private', storage: 'dm-snapshot' },
  { hypervisor: 'firecracker-jailed', network: 'bridge', storage: 'copy' },
  { hypervisor: 'firecracker', network: 'private', storage: 'copy' },
  { hypervisor: 'firecracker', network: 'bridge', storage: 'dm-snapshot' },
];
const WITH_QEMU: Drivers = { hypervisor: 'qemu', network: 'bridge', storage: 'dm-snapshot' };
/** Lives in a row; enough to see what a life leaves. `LAB_CYCLES=50` to be sure. */
const CYCLES = Number(process.env['LAB_CYCLES'] ?? '3');
/** A guest under a hypervisor that is emulated itself needs its time. */
const SLOW = { BANGER_BOOT_TIMEOUT_SECONDS: '120', BANGER_STOP_GRACE_SECONDS: '60' };
const LONG = { timeoutMs: 300_000 };
const SMALL = ['--vcpu', '1', '--memory', '384M'];

/** All that the root path makes, one line an object. */
const PICTURE = [
  'dmsetup ls | sort',
  'losetup -a | sort',
  'ip -br link | cut -d " " -f 1 | sort',
  'nft list ruleset',
  'find /sys/fs/cgroup -name "*bgr-*"',
  'grep -c . /proc/mounts',
  'lsns -t net -n -o NS,COMMAND | wc -l; lsns -t user -n | wc -l',
  // A user's own directories there are made once.
  'find /var/lib/banger-jail /dev/banger /run/banger/users -mindepth 2 2>/dev/null | sort',
  'grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/forwarding',
];
const picture = async (): Promise<string> => (await run(['sh', '-c', PICTURE.map((line) => `echo "== "; ${line}`).join('\n')])).stdout;
const setup = (...words: string[]) => run([PROGRAM, 'setup', ...words], { timeoutMs: 120_000 });

before(async () => {
  // The lab's users are made for a test; on a real host they are in the group kvm.
  chmodSync('/dev/kvm', 0o666);
  const programs = hasFirecracker ? ['--firecracker', firecracker, '--jailer', jailer] : [];
  await setup('--user', String(testUser('/nonexistent').uid), ...programs);
});
after(async () => {
  await setup('--uninstall');
  const { stdout } = await run([
    'sh',
    '-c',
    'ls -d /etc/banger /run/banger /dev/banger /var/lib/banger-jail /usr/local/lib/banger* 2>/dev/null || true',
  ]);
  assert.equal(stdout, '');
  const complaints = await run(['sh', '-c', 'dmesg | grep -E "BUG|WARNING|Oops|I/O error|hung task|snapshots: Invalid" || true']);
  assert.equal(complaints.stdout, '');
});

for (const drivers of [...COMBINATIONS, WITH_QEMU]) {
  const { hypervisor, network, storage } = drivers;
  describe(`a life with ${hypervisor}, ${network}, ${storage}`, { skip: hypervisor === 'qemu' ? false : skip }, () => live(drivers));
}

function live({ hypervisor, network, storage }: Drivers): void {
  let untouched = '';
  before(async () => {
    untouched = await picture();
  });
  const sandbox = useSandbox({
    env: {
      ...SLOW,
      BANGER_HYPERVISOR: hypervisor,
      BANGER_NETWORK_MODE: network,
      BANGER_STORAGE_DRIVER: storage,
      ...(firecracker === undefined ? {} : { BANGER_FIRECRACKER: firecracker }),
    },
    settleMs: 30_000,
  });

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
      60_000,
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
      60_000,
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
    process.kill((await web.show()).pid ?? 0, 'SIGSTOP');
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
    await eventually('an untouched host', picture, (now) => now === untouched(), 30_000);
  });
}

describe(`${CYCLES} lives in a row`, () => {
  const [hypervisor, network, storage] = hasFirecracker
    ? ['firecracker-jailed', 'bridge', 'dm-snapshot']
    : ['qemu', 'bridge', 'dm-snapshot'];
  const env = { ...SLOW, BANGER_HYPERVISOR: hypervisor, BANGER_NETWORK_MODE: network, BANGER_STORAGE_DRIVER: storage };
  const sandbox = useSandbox({ env: { ...env, ...(firecracker === undefined ? {} : { BANGER_FIRECRACKER: firecracker }) } });

  test('leave the host as the first one did, and nothing when the last is over (5.2, 9.5)', async (t) => {
    // The daemon and the bridge stay between VMs.
    await sandbox().must(['vm', 'create', '--name', 'first', ...SMALL], LONG);
    await sandbox().must(['vm', 'delete', 'first']);
    const afterOne = await picture();
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await sandbox().must(['vm', 'create', '--name', `life-${cycle}`, ...SMALL], LONG);
      await sandbox().must(['vm', 'delete', `life-${cycle}`]);
      await eventually(`the host after life ${cycle}`, picture, (now) => now === afterOne, 30_000);
      t.diagnostic(`life ${cycle} over`);
    }
  });
});
