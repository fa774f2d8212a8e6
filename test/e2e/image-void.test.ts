// An image of Void Linux from packages in Void's format, as a real VM: with their kernel, configured by their own scripts.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ImageView } from '../../src/api/image-schemas.ts';
import { createVm, eventually, guest, hear, useSandbox } from '../support/machine/e2e.ts';
import { serveDirectory } from '../support/images/void-repository.ts';
import { type VoidRepository, voidRepository } from '../support/images/void-system.ts';

const skip = existsSync('/usr/bin/mmdebstrap') ? false : 'mmdebstrap is not installed';
/** Under emulation, beside other work, a system takes its time. */
const LONG_MS = 120_000;

let repository: VoidRepository;
let mirror: Awaited<ReturnType<typeof serveDirectory>>;
/** The daemon's user reads it. */
const keys = mkdtempSync(join(tmpdir(), 'bgr-keys-'));
after(async () => {
  rmSync(keys, { recursive: true });
  await mirror?.close();
});

const sandbox = useSandbox(async () => {
  if (skip !== false) return {};
  repository = await voidRepository();
  mirror = await serveDirectory(repository.directory);
  chmodSync(keys, 0o755);
  return { env: { BANGER_VOID_MIRROR: mirror.url, BANGER_VOID_KEYS: keys } };
});
const machine = () => guest(sandbox(), 'v');
const build = (...flags: string[]) => sandbox().banger(['image', 'build', '--distribution', 'void', '--name', 'void', ...flags]);

async function secondStage(): Promise<void> {
  const state = async () => (JSON.parse(await sandbox().must(['vm', 'health', 'v', '-o', 'json'])) as { init: string }).init;
  await eventually('the second stage', state, (init) => init === 'running', LONG_MS);
}

test('without the key of the repository nothing is fetched, and nothing is left (8.7)', { skip }, async () => {
  const { status, stderr } = await build();
  assert.equal(status, 1);
  assert.match(stderr, /signed by "banger tests" with a key that is not known here[^]*void\.keys/);
  assert.deepEqual(mirror.asked, ['x86_64-repodata']);
  assert.equal(await sandbox().must(['image', 'list', '-q']), 'default\n');
  assert.equal(await sandbox().must(['vm', 'list', '-q']), '');
});

test('an image is made from the packages, and describes itself (8.7, 8.1, 8.6)', { skip }, async () => {
  copyFileSync(join(repository.keys, 'test.pem'), join(keys, 'test.pem'));
  chmodSync(join(keys, 'test.pem'), 0o644);
  assert.match((await build('--size', '64M')).stderr, /need a root file system of [^]*try: use --size \d+M or more/);
  const { status, stderr } = await build();
  assert.equal(status, 0, stderr);
  const image = JSON.parse(await sandbox().must(['image', 'show', 'void', '-o', 'json'])) as ImageView;
  const { distribution, initSystem, kernelVersion, managed, origin, stale } = image;
  assert.deepEqual(
    { distribution, initSystem, kernelVersion, managed, origin, stale },
    { distribution: 'void', initSystem: 'runit', kernelVersion: repository.kernelVersion, managed: true, origin: 'built', stale: false },
  );
  assert.match(image.workSeedFingerprint ?? '', /^[0-9a-f]{64}$/);
  assert.match(image.sshKeyFingerprint ?? '', /^SHA256:/);
  assert.ok(image.packages.includes('runit-void'));
  const log = readFileSync(image.buildLogPath ?? '', 'utf8');
  assert.match(log, /packages, signed by banger tests[^]*linux6\.1-6\.1\.192_1[^]*base-files: configuring \.\.\./);
  const files = readdirSync(join(image.rootfsPath, '..')).toSorted();
  assert.deepEqual(files, ['image.json', 'initramfs', 'kernel', 'modules.tar.zst', 'rootfs.ext4', 'work-seed.ext4']);
  // Neither the firmware nor the initramfs of the metapackage.
  assert.ok(!mirror.asked.some((name) => /firmware|dracut|^linux-6/.test(name)), mirror.asked.join(' '));
  assert.deepEqual(await sandbox().must(['vm', 'list', '-q']), '');
});

test('a VM of it boots the kernel of the repository under runit, with the modules that belong to it (8.7, 7.3)', { skip }, async () => {
  const vm = await createVm(sandbox(), 'v', '--image', 'void');
  assert.equal(
    await vm.sh('uname -r; cat /proc/1/comm; hostname; . /etc/os-release; echo $ID'),
    `${repository.kernelVersion}\nrunit\nv\nvoid`,
  );
  assert.equal(await vm.sh('modprobe dummy && grep -c ^dummy /proc/modules'), '1');
  await secondStage();
  // Its scripts were run in the VM that made it, before and after the packages lay there; all are configured.
  assert.equal(await vm.sh('readlink /var/run; test -d /var/chroot/ssh && stat -c %a /tmp'), '../run\n1777');
  assert.equal(await vm.sh('grep -c "<string>unpacked" /var/db/xbps/pkgdb-0.38.plist || true'), '0');
  // Consoles would come back with the next update of their package.
  assert.equal(
    await vm.sh('xbps-reconfigure -f runit-void > /dev/null; ls /etc/runit/runsvdir/default /etc/sv/agetty-tty1/down'),
    '/etc/sv/agetty-tty1/down\n\n/etc/runit/runsvdir/default:\nsshd',
  );
  assert.equal(await vm.sh('ip -o link show lo up | cut -d : -f 2'), 'lo');
  assert.equal(await vm.sh('cat /etc/xbps.d/00-repository-main.conf'), `repository=${mirror.url}`);
  assert.equal(await vm.sh('ls -d /var/lib/banger /run/root-was-read-only 2> /dev/null | wc -l; stat -c %a /root'), '0\n700');
});

test('exec, ssh by key, and ports work (7.2, 6.1, 3.12)', { skip }, async () => {
  const ports = async () =>
    JSON.parse(await sandbox().must(['vm', 'ports', 'v', '-o', 'json'])) as { port: number; hostPort: number | null }[];
  const listens = ({ port }: { port: number }): boolean => port === 22;
  const hostPort = (await eventually('sshd', ports, (list) => list.some(listens), LONG_MS)).find(listens)?.hostPort ?? 0;
  const ssh = await sandbox().banger(['vm', 'ssh', 'v', '--', 'hostname; exit 5']);
  assert.deepEqual([ssh.status, ssh.stdout.trim()], [5, 'v'], ssh.stderr);
  const { address } = await machine().show();
  const heard = () => hear(sandbox(), address, hostPort);
  await eventually('the greeting of sshd', heard, (text) => text.startsWith('SSH-2.0'), LONG_MS);
  assert.match(await machine().sh('sv status /var/service/*'), /^run: \S+\/sshd: [^\n]*$/);
});

test('a restart keeps both disks, and a stop goes through the third stage (3.5, 3.6)', { skip }, async () => {
  await machine().sh('echo kept > /root/file; echo kept > /var/file; echo "tmpfs /mnt tmpfs defaults 0 0" >> /etc/fstab');
  await sandbox().must(['vm', 'restart', 'v']);
  assert.equal(await machine().sh('cat /root/file /var/file; uname -r'), `kept\nkept\n${repository.kernelVersion}`);
  await secondStage();
  assert.equal(await machine().sh('cut -d " " -f 2,3 /proc/mounts | grep -E "^/(mnt|tmp) "'), '/mnt tmpfs');
  await sandbox().must(['vm', 'stop', 'v', '--grace', '5m']);
  assert.match(await sandbox().must(['vm', 'logs', 'v']), /leave stage: \/etc\/runit\/3/);
});

test('it powers off from within (3.5, 8.7)', { skip }, async () => {
  await sandbox().must(['vm', 'start', 'v']);
  await secondStage();
  await sandbox().banger(['vm', 'exec', 'v', '--', 'sh', '-c', '(sleep 1; init 0) > /dev/null 2>&1 &']);
  const state = async () => (await machine().show()).state;
  await eventually('the end', state, (seen) => seen === 'stopped', LONG_MS);
  await sandbox().must(['vm', 'delete', 'v']);
});

test(
  'another image is built from it by a script of the user, and from the packages without fetching them again (8.3, 8.7)',
  { skip },
  async () => {
    const script = join(keys, 'setup.sh');
    writeFileSync(script, 'echo mine > /etc/mine\n', { mode: 0o644 });
    const flags = ['--script', script];
    const before = mirror.asked.length;
    await sandbox().must(['image', 'build', '--name', 'mine', '--from', 'void', ...flags]);
    assert.equal(mirror.asked.length, before);
    const mine = JSON.parse(await sandbox().must(['image', 'show', 'mine', '-o', 'json'])) as ImageView;
    assert.deepEqual([mine.distribution, mine.initSystem, mine.kernelVersion], ['void', 'runit', repository.kernelVersion]);
    const refused = await sandbox().banger(['image', 'build', '--name', 'other', '--from', 'void', '--step', 'mise']);
    assert.match(refused.stderr, /--step and --skip are for Debian/);
    await sandbox().must(['image', 'build', '--name', 'void', '--distribution', 'void', '--replace', ...flags]);
    assert.deepEqual(mirror.asked.slice(before), ['x86_64-repodata']);
    const vm = await createVm(sandbox(), 'w', '--image', 'void');
    assert.equal(await vm.sh('cat /etc/mine'), 'mine');
    await sandbox().must(['vm', 'delete', '--force', 'w']);
    await sandbox().must(['image', 'delete', 'mine', 'void']);
  },
);
