// One VM whose system is broken in the ways in which owners break systems: it comes up as far as it can, and says what is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Health } from '../../src/api/schemas.ts';
import { createVm, guest, useSandbox } from '../support/machine/e2e.ts';

const sandbox = useSandbox();

/** Runs a line in a guest that may have no /bin/sh. */
const bash = async (script: string): Promise<string> => (await sandbox().must(['vm', 'exec', 'two', '--', 'bash', '-c', script])).trim();
const troubles = async () => (await guest(sandbox(), 'two').show()).troubles;
const assertTold = (told: readonly { reason: string }[], expected: readonly RegExp[]): void => {
  const reasons = told.map(({ reason }) => reason).join('\n');
  for (const trouble of expected) assert.match(reasons, trouble);
};

test('a broken sshd, no /bin/sh, an odd /root, a directory for a file and a damaged root still permit exec and ssh, and are reported (11.9)', async () => {
  await createVm(sandbox(), 'two', '--system-overlay-size', '2G', '--memory', '512M');
  await bash(`rm /etc/resolv.conf /etc/hosts; mkdir -p /etc/resolv.conf /etc/hosts/full
    echo Broken yes >/etc/ssh/sshd_config; rm /etc/ssh/ssh_host_*
    echo '/dev/nonsense /srv ext4 defaults 0 2' >/etc/fstab; ln -sf /dev/null /etc/systemd/system/default.target
    chown 1000 /root; chmod 0 /root; rm -r /tmp /bin/sh
    echo 1 >/sys/fs/ext4/vda/trigger_fs_error; tune2fs -e panic /dev/vda; sync`);
  const restarted = await sandbox().banger(['vm', 'restart', 'two']);
  assert.equal(restarted.status, 0, restarted.stderr);
  assertTold(await troubles(), [
    /^the root file system: its file system is damaged$/m,
    /^\/dev\/nonsense in \/etc\/fstab: the device is missing$/m,
    /^\/bin\/sh: it is missing, or a dangling link$/m,
    /^\/etc\/hosts: a directory is in its place$/m,
  ]);
  assert.match(await bash('cat /etc/resolv.conf; stat -c %a /tmp'), /^nameserver 169\S*\n1777$/);
  const login = await sandbox().banger(['vm', 'ssh', 'two', '--', 'hostname']);
  assert.equal(login.stdout.trim(), 'two', login.stderr);
  assert.match(login.stderr, /Bad configuration option: Broken/);
  // It would have brought the machine down.
  assert.match(await bash('echo 1 >/sys/fs/ext4/vda/trigger_fs_error; touch /one 2>&1 || true'), /Read-only file system/);
});

test('a file in place of /etc, no user root and no free inode come up with the guest agent, and are reported (11.9)', async () => {
  await sandbox().must(['vm', 'restart', '--rescue', 'two']);
  await bash(`mount /dev/vdb /mnt/root; cd /mnt/root; mv etc etc.away; echo file >etc; rm etc.away/fstab; cd /; umount /mnt/root
    e2fsck -fy /dev/vdb >/dev/null || test $? -lt 4; tune2fs -e continue /dev/vdb
    for group in $(seq 0 15); do
      for command in 'free_inodes_count 0' 'itable_unused 0' 'checksum calc'; do echo set_bg $group $command; done
    done >/tmp/commands; debugfs -w -f /tmp/commands /dev/vdb >/dev/null; debugfs -w -f /tmp/commands /dev/vdc >/dev/null`);
  const restarted = await sandbox().banger(['vm', 'restart', 'two']);
  assert.equal(restarted.status, 0, restarted.stderr);
  assertTold(await troubles(), [
    /^a directory for \/etc: a file is in place of a directory; it is held in memory/m,
    /^root in \/etc\/passwd: it is missing/m,
  ]);
  const seen = await bash('cat /etc/resolv.conf /etc.away/ssh/sshd_config; touch /var/one 2>&1 || true');
  assert.match(seen, /^nameserver.*\nBroken yes\ntouch: .*No space left/);
});

test('a root that cannot be mounted fails the start with its cause, and is mended in a rescue (11.9)', async () => {
  // From a rescue, where nothing has it mounted: a mounted file system may write there once more.
  await sandbox().must(['vm', 'kill', 'two']);
  await sandbox().must(['vm', 'start', '--rescue', 'two']);
  await bash('dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync 2>/dev/null');
  await sandbox().must(['vm', 'kill', 'two']);
  const failed = await sandbox().banger(['vm', 'start', 'two']);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /two did not boot: there is no ext4 file system on its root disk\n[^]*try: banger vm start --rescue two\n/);
  await sandbox().must(['vm', 'start', '--rescue', 'two']);
  await bash(`e2fsck -fy -b 32768 /dev/vdb >/dev/null || test $? -lt 4; e2fsck -fy /dev/vdc >/dev/null || test $? -lt 4
    mount /dev/vdb /mnt/root; cd /mnt/root; rm etc; mv etc.away etc; ln -s bash usr/bin/sh
    cp /etc/ssh/sshd_config etc/ssh/; rm -r etc/hosts etc/systemd/system/default.target; cd /; umount /mnt/root`);
  await sandbox().must(['vm', 'restart', 'two']);
  assert.deepEqual(await troubles(), []);
  const health = JSON.parse(await sandbox().must(['vm', 'health', 'two', '-o', 'json'])) as Health;
  assert.deepEqual([health.agent, health.problem], ['ok', null]);
  assert.equal((await sandbox().must(['vm', 'ssh', 'two', '--', 'hostname'])).trim(), 'two');
});

test('pipes where programs read files, a / for all to change, an init without its shell and long hosts are no obstacle (11.9)', async () => {
  await bash(`for path in fstab environment default/locale gshadow; do rm -f /etc/$path; mkfifo /etc/$path; done
    yes '0.0.0.0 a.host.of.a.long.list' | head -n 70000 >>/etc/hosts; chmod 777 /
    rm /sbin/init; printf '#!/nowhere/sh\\n' >/sbin/init; chmod 755 /sbin/init
    mv /etc /etc.away; ln -s /etc.away /etc; sync`);
  const restarted = await sandbox().banger(['vm', 'restart', 'two']);
  assert.equal(restarted.status, 0, restarted.stderr);
  const told = (await troubles()).map(({ reason }) => reason);
  assert.deepEqual(told.toSorted(), [
    ...['default/locale', 'environment', 'fstab', 'gshadow'].map(
      (path) => `/etc/${path}: something other than a file is in its place; it is held in memory until the VM stops`,
    ),
    '/sbin/init: the program that loads or runs it is missing',
    'the directory /: users other than root may change it, which sshd refuses',
  ]);
  assert.equal(await bash('grep -c long.list /etc/hosts; grep -c two.vm /etc/hosts'), '70000\n1');
  assert.equal((await sandbox().must(['vm', 'ssh', 'two', '--', 'hostname'])).trim(), 'two');
});
