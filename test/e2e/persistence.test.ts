// What a VM keeps, what makes it itself, and in what two of them differ.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Stats } from '../../src/api/schemas.ts';
import { type GuestHandle, createVm, eventually, guest, useSandbox } from '../support/machine/e2e.ts';

const MIB = 1024 ** 2;
const sandbox = useSandbox();
const GIB = 1024 ** 3;

test('a new VM has the disks that were asked for, with file systems as large (5.3, 3.2)', async () => {
  const vm = await createVm(sandbox(), 'one', '--disk-size', '12G', '--system-overlay-size', '10G', '--vcpu', '1', '--memory', '512M');
  const [root, work] = (await vm.sh('df --output=size -B1 / /root')).split('\n').slice(1).map(Number);
  // ext4 keeps some for itself; the image's own root file system has 1 GiB, the work seed 8 GiB.
  assert.ok(root !== undefined && root > 9 * GIB && root <= 10 * GIB, `/ has ${root} bytes`);
  assert.ok(work !== undefined && work > 11 * GIB && work <= 12 * GIB, `/root has ${work} bytes`);
  assert.equal(await vm.sh('nproc'), '1');
  const memoryKib = Number(await vm.sh("awk '/^MemTotal/ { print $2 }' /proc/meminfo"));
  assert.ok(memoryKib > 400 * 1024 && memoryKib <= 512 * 1024, `${memoryKib} KiB`);
});

test('a restarted VM has everything that it had written, on both disks, and its size (3.6)', async () => {
  const vm = guest(sandbox(), 'one');
  // Without sync: an orderly stop writes what is still in memory.
  await vm.sh('echo "on the work disk" >/root/note; echo "on the root overlay" >/etc/note; df --output=size / /root >/root/sizes');
  await sandbox().must(['vm', 'restart', 'one']);
  assert.equal(await vm.sh('cat /root/note /etc/note'), 'on the work disk\non the root overlay');
  assert.equal(await vm.sh('df --output=size / /root | diff - /root/sizes && echo same'), 'same');
});

test('space that the guest frees returns to the host by itself, on both disks (5.1, 5.3)', async (t) => {
  const vm = guest(sandbox(), 'one');
  if ((await vm.show()).hypervisor?.startsWith('firecracker') === true)
    return t.skip('Firecracker offers its guests no way to give blocks back');
  const disks = async () => {
    const { vms } = JSON.parse(await sandbox().must(['vm', 'stats', 'one', '-o', 'json'])) as Stats;
    const both = vms.flatMap(({ rootOverlay, workDisk }) => [rootOverlay, workDisk]);
    const sum = (of: (disk: (typeof both)[number]) => number): number => both.reduce((total, disk) => total + of(disk), 0);
    return { held: sum((disk) => disk.allocatedBytes), used: sum((disk) => disk.usedBytes ?? 0) };
  };
  const before = await disks();
  // The image's own files are not held for this VM.
  assert.ok(before.used > 100 * MIB && before.held < before.used, JSON.stringify(before));
  await vm.sh('for file in /root/big /var/big; do yes banger | head -c 64M >$file; done; sync');
  const full = await disks();
  assert.ok(full.held - before.held > 100 * MIB, `${full.held - before.held} bytes more for 128 MiB`);
  assert.ok(Math.abs(full.used - before.used - 128 * MIB) < 16 * MIB, `${full.used - before.used} bytes more in the guest for 128 MiB`);
  await vm.sh('rm /root/big /var/big; sync');
  const after = await eventually('the space of deleted files', disks, ({ held }) => held - before.held < 16 * MIB, 60_000);
  assert.ok(after.used - before.used < 16 * MIB, JSON.stringify({ before, after }));
});

test('the guest has its name, address, resolver and machine id before its first service writes to the journal (7.1, 7.3)', async () => {
  const vm = guest(sandbox(), 'one');
  await sandbox().must(['vm', 'wait', 'one']);
  const { id, guestAddress } = await vm.show();
  assert.equal(await vm.sh('hostname; cat /etc/hostname'), 'one\none');
  assert.match(await vm.sh('cat /etc/hosts'), new RegExp(`^${guestAddress} one\\.vm one$`, 'm'));
  assert.match(await vm.sh('ip -4 -o address show dev eth0'), new RegExp(`inet ${guestAddress}/16 `));
  assert.match(await vm.sh('cat /etc/resolv.conf'), /^nameserver 169\.254\.213\.53$/m);
  assert.equal(await vm.sh('cat /etc/machine-id'), id);
  assert.equal(await vm.sh('journalctl -b -o json | head -1 | grep -o \'"_HOSTNAME":"[^"]*"\''), '"_HOSTNAME":"one"');
});

test('sshd lets root in by key only (7.3)', async () => {
  const settings = await guest(sandbox(), 'one').sh('mkdir -p /run/sshd; /usr/sbin/sshd -T');
  assert.match(settings, /^permitrootlogin (without-password|prohibit-password)$/m);
  assert.match(settings, /^passwordauthentication no$/m);
});

test('the host key is the one that banger recorded; a guest with another one is refused until it is repaired (6.4, 7.4)', async () => {
  const vm = guest(sandbox(), 'one');
  const { id, paths } = await vm.show();
  const recorded = readFileSync(join(paths.directory, 'known_hosts'), 'utf8').trim();
  const [type, key] = (await vm.sh('cat /etc/ssh/ssh_host_ed25519_key.pub')).split(' ');
  assert.equal(recorded, `banger-${id} ${type} ${key}`);
  assert.equal(await sandbox().must(['vm', 'ssh', 'one', '--', 'hostname']), 'one\n');

  await vm.sh("rm /run/banger/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /run/banger/ssh_host_ed25519_key");
  const refused = await sandbox().banger(['vm', 'ssh', 'one', '--', 'hostname']);
  assert.deepEqual([refused.status, refused.stdout], [125, '']);
  assert.match(refused.stderr, /Host key verification failed/);

  await vm.sh('rm /root/.ssh/authorized_keys');
  await sandbox().must(['vm', 'restart', 'one']);
  assert.equal(await sandbox().must(['vm', 'ssh', 'one', '--', 'hostname']), 'one\n');
});

test('two VMs of one image differ in everything that must be unique (7.1, 7.3, 7.4)', async () => {
  await createVm(sandbox(), 'two');
  const facts = await Promise.all(['one', 'two'].map((name) => uniqueFacts(guest(sandbox(), name))));
  const [first = [], second = []] = facts;
  assert.equal(first.length, 6);
  for (const [at, fact] of first.entries()) assert.notEqual(fact, second[at]);
});

/** @returns one line each: machine id, host key, MAC, address, boot id, and what the random generator gives */
async function uniqueFacts(vm: GuestHandle): Promise<string[]> {
  const script = `cat /etc/machine-id
    cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub
    cat /sys/class/net/eth0/address
    ip -4 -o address show dev eth0 | awk '{ print $4 }'
    cat /proc/sys/kernel/random/boot_id
    head -c 32 /dev/urandom | sha256sum`;
  return (await vm.sh(script)).split('\n');
}
