// Forks of real machines: they go on where the first one was, with memory and disks that agree, and are told apart.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, type GuestHandle, eventually, guest, runInSandbox, useSandbox } from '../support/machine/e2e.ts';

const sandbox = useSandbox();

/** Counts in memory and, flushed, on both disks. Its random numbers come from before any fork. */
const COUNTER = `i=0; trap "end=1" TERM
while test -z "$end"; do i=$((i+1)); echo $i >/dev/shm/count; for at in /root /var/tmp; do echo $i | dd of=$at/count conv=fsync status=none; done; done`;
const READ = 'cat /dev/shm/count /root/count /var/tmp/count';

async function grows(vm: GuestHandle, by: number): Promise<void> {
  const now = async () => Number(await vm.sh('cat /dev/shm/count'));
  const first = await now();
  await eventually(`the counter of ${vm.name}`, now, (count) => count > first + by, 120_000);
}

const IDENTITY = {
  name: 'hostname',
  'machine id': 'cat /etc/machine-id',
  'boot id': 'cat /proc/sys/kernel/random/boot_id',
  MAC: 'cat /sys/class/net/eth0/address',
  address: 'ip -o -4 addr show eth0 | grep -o "inet [^ ]*"',
  'host key': 'cat /etc/ssh/ssh_host_ed25519_key.pub',
  'random numbers': 'head -c 16 /dev/urandom | od -An -tx1',
};

test('forks, and a fork of a fork, go on with memory and disks that agree, under identities of their own, and outlive the first VM (10.4, 10.3)', async (t) => {
  const web = await createVm(sandbox(), 'web', '--wait', 'agent');
  if ((await web.show()).hypervisor === 'firecracker-jailed') return t.skip('a jailed VMM has no snapshots');
  await web.sh(
    `echo 0 | tee /dev/shm/count /root/count /var/tmp/count; systemd-run --quiet -p KillMode=mixed --unit=counter sh -c '${COUNTER}'; echo kept >/dev/shm/note`,
  );
  await grows(web, 3);
  assert.equal(await sandbox().must(['vm', 'fork', 'web', '--count', '2']), 'web-1\nweb-2\n');
  assert.equal(await sandbox().must(['vm', 'fork', 'web-1', 'deep']), 'deep\n');
  const all = ['web', 'web-1', 'web-2', 'deep'].map((name) => guest(sandbox(), name));
  for (const [what, command] of Object.entries(IDENTITY)) {
    const values = await Promise.all(all.map((vm) => vm.sh(command)));
    assert.equal(new Set(values).size, all.length, `${what}: ${values.join(', ')}`);
  }
  for (const vm of all) assert.equal(await sandbox().must(['vm', 'ssh', vm.name, '--', 'cat', '/dev/shm/note']), 'kept\n');
  await sandbox().must(['vm', 'delete', '-f', 'web']);
  for (const vm of all.slice(1)) {
    await grows(vm, 1);
    // What is read then comes from the disks.
    const [memory, work, root] = (await vm.sh(`systemctl stop counter; sync; echo 3 >/proc/sys/vm/drop_caches; ${READ}`)).split('\n');
    assert.deepEqual([work, root], [memory, memory], vm.name);
    assert.equal(await vm.sh('dmesg | grep -ciE "ext4-fs (error|warning)|i/o error" || true'), '0', vm.name);
  }
  const { paths } = await guest(sandbox(), 'web-2').show();
  await sandbox().must(['vm', 'stop', 'web-2']);
  const checked = await runInSandbox(sandbox(), ['e2fsck', '-fn', join(paths.directory, 'work.raw')]);
  assert.match(checked, /: \d+\/\d+ files/);
  assert.doesNotMatch(checked, /error|corrupt|Fix/i);
  await sandbox().must(['vm', 'start', 'web-2']);
  assert.equal(await guest(sandbox(), 'web-2').sh(`test -s /root/count && ! test -e /dev/shm/note && echo booted`), 'booted');
});
