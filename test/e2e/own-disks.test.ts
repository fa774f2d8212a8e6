// One VM, whose owner does to its disks what owners do, boot after boot.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Health, VmView } from '../../src/api/schemas.ts';
import { createVm, guest, useSandbox } from '../support/machine/e2e.ts';

const sandbox = useSandbox();

const reasons = ({ troubles }: VmView): string => troubles.map(({ reason }) => reason).join('\n');

/** Nothing more fits on a file system. */
const fill = (directory: string): string =>
  `fallocate -l $(df --output=avail -B1 ${directory} | tail -1) ${directory}/fill; dd if=/dev/zero of=${directory}/rest bs=4k 2>/dev/null; `;

test('commands of systemd work as soon as the VM is there, also in a line of shell (3.3)', async () => {
  const vm = await createVm(sandbox(), 'one', '--system-overlay-size', '2G', '--memory', '512M');
  for (const command of [
    ['vm', 'exec', 'one', '--', 'systemctl', 'is-active', 'basic.target', '--wait'],
    ['vm', 'exec', 'one', '--', 'sh', '-c', 'systemctl show --property=Version'],
  ]) {
    const { stdout, stderr } = await sandbox().banger(command);
    assert.doesNotMatch(stdout + stderr, /Host is down|Failed to connect|offline/);
  }
  assert.deepEqual((await vm.show()).troubles, []);
});

test('full disks and immutable files do not prevent a start, and the guest has its files nevertheless (11.9)', async () => {
  const vm = guest(sandbox(), 'one');
  await vm.sh(`echo foreign >/etc/resolv.conf; chattr +i /etc/resolv.conf
    mv /etc/hosts /etc/my-hosts; ln -s my-hosts /etc/hosts
    rm /etc/hostname; mkfifo /etc/hostname; ln -sf /dev/null /etc/machine-id; chmod 0 /etc/ssh/ssh_host_ed25519_key.pub
    rm -r /etc/ssh/ssh_host_ed25519_key /root/.ssh; mkdir /etc/ssh/ssh_host_ed25519_key; ln -s /nowhere/at/all /root/.ssh
    echo '/dev/nonsense /nowhere ext9 nope 7' >/etc/fstab; rm /sbin/init
    ${fill('/')} ${fill('/root')} sync`);
  const restarted = await sandbox().banger(['vm', 'restart', 'one']);
  assert.equal(restarted.status, 0, restarted.stderr);
  assert.match(restarted.stderr, /\/etc\/resolv.conf: (it is immutable|its file system is full).*held in memory/);
  const { id, ...view } = await vm.show();
  const told = reasons({ id, ...view });
  for (const path of ['/etc/hostname', '/etc/machine-id', '/root/.ssh/authorized_keys', '/etc/ssh/ssh_host_ed25519_key', '/sbin/init'])
    assert.match(told, new RegExp(`^${path}: `, 'm'));
  assert.equal(await vm.sh('hostname; cat /etc/hostname /etc/machine-id'), `one\none\n${id}`);
  assert.match(await vm.sh('cat /etc/resolv.conf'), /^nameserver 169/);
  assert.equal(
    await vm.sh('readlink /etc/hosts; grep -c one.vm /etc/hosts; stat -c %a /etc/ssh/ssh_host_ed25519_key.pub'),
    'my-hosts\n1\n644',
  );
  assert.equal((await sandbox().must(['vm', 'ssh', 'one', '--', 'hostname'])).trim().split('\n').at(-1), 'one');
  assert.match(await sandbox().must(['vm', 'list']), /running \(!\)/);
});

test('no init, a work disk that does not mount and a root without /run still come up, with the agent (11.9)', async () => {
  const vm = guest(sandbox(), 'one');
  await vm.sh(`rm -f /fill /rest /root/fill /root/rest; echo kept >/root/kept; sync
    mv /usr/lib/systemd/systemd /usr/lib/systemd/systemd.away
    unshare -m sh -c 'umount -l /run; mv /run /run.away; until ln -sT elsewhere /run 2>/dev/null; do rm -rf /run; done'
    umount -l /root; dd if=/dev/zero of=/dev/vdb bs=1k count=64 2>/dev/null; sync`);
  // The way of an orderly shut-down is away, so the guest is not asked.
  await sandbox().must(['vm', 'kill', 'one']);
  await sandbox().must(['vm', 'start', 'one']);
  const told = reasons(await vm.show());
  for (const trouble of [/^the disk \/dev\/vdb at \/root: there is no ext4/m, /^the init of the image: /m, /^a directory for .*\/run: /m])
    assert.match(told, trouble);
  const health = JSON.parse(await sandbox().must(['vm', 'health', 'one', '-o', 'json'])) as Health;
  assert.deepEqual([health.agent, health.init], ['ok', 'degraded']);
  // The first program of the initramfs is still there, and what lies at /root is the root file system's.
  assert.equal(await vm.sh('readlink /proc/1/exe; df --output=source /root | tail -n 1'), '/init (deleted)\n/dev/vda');
});

test('a rescue has the disks beside it, and a repaired disk boots as before (11.9)', async () => {
  const vm = guest(sandbox(), 'one');
  const rescue = await sandbox().banger(['vm', 'restart', '--rescue', 'one']);
  assert.equal(rescue.status, 0, rescue.stderr);
  assert.match(rescue.stderr, /\/dev\/vdb \(root\) and \/dev\/vdc/);
  assert.match(await sandbox().must(['vm', 'list']), /running \(rescue\)/);
  assert.match(await vm.sh('touch /x 2>&1 || true'), /Read-only file system/);
  await vm.sh(`mount /dev/vdb /mnt/root; cd /mnt/root; rm run; mv run.away run; mv usr/lib/systemd/systemd.away usr/lib/systemd/systemd
    ln -s /lib/systemd/systemd sbin/init; chattr -i etc/resolv.conf; rm -r etc/hostname etc/machine-id etc/ssh/ssh_host_ed25519_key etc/fstab
    cd /; umount /mnt/root; e2fsck -f -y /dev/vdb || test $? -lt 4; e2fsck -y -b 32768 /dev/vdc || test $? -lt 4
    e2fsck -f -y /dev/vdc || test $? -lt 4
    mount /dev/vdc /mnt/work; rm /mnt/work/.ssh; umount /mnt/work`);
  assert.equal((await sandbox().must(['vm', 'ssh', 'one', '--', 'hostname'])).trim(), 'one');
  await sandbox().must(['vm', 'restart', 'one']);
  assert.deepEqual((await vm.show()).troubles, []);
  assert.equal(await vm.sh('cat /root/kept; systemctl is-system-running --wait >/dev/null; cat /proc/1/comm'), 'kept\nsystemd');
});
