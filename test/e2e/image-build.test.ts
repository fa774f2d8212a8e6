// An image of the user's own, from its build to machines that start from it.
import assert from 'node:assert/strict';
import { copyFileSync, constants, existsSync, readFileSync, readdirSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ImageView } from '../../src/api/image-schemas.ts';
import { createVm, daemonStatus, eventually, killProcesses, settled, startBanger, useSandbox } from '../support/machine/e2e.ts';
import { bundleOfTests } from '../support/images/shared-bundle.ts';
import { vmmsOf } from '../support/vmm/vmms.ts';

const sandbox = useSandbox();
const BUILD_LIMIT = { timeoutMs: 600_000 };

/** What the provisioning steps that need nothing from outside are. */
const FEW_STEPS = ['--step', 'docker-leftovers', '--step', 'docker-modules'];

function fileOf(name: string, text: string): string {
  const path = join(sandbox().directory, 'home', name);
  writeFileSync(path, text);
  chmodSync(path, 0o644);
  return path;
}

const show = async (name: string): Promise<ImageView> =>
  JSON.parse(await sandbox().must(['image', 'show', name, '-o', 'json'])) as ImageView;

/** What a build has on this host while it lasts, and must not have afterwards. */
async function remains(): Promise<string[]> {
  const names = (text: string): string[] => text.split('\n').filter((name) => name !== '');
  const below = (directory: string): string[] => {
    const path = join(sandbox().directory, 'state', directory);
    return existsSync(path) ? readdirSync(path).map((name) => `${directory}/${name}`) : [];
  };
  return [
    ...names(await sandbox().must(['vm', 'list', '-q'])),
    ...names(await sandbox().must(['image', 'list', '-q'])).filter((name) => name !== 'default'),
    ...below('vms'),
    ...below('images'),
    ...vmmsOf(sandbox().scope).map(() => 'a VMM'),
  ];
}

// dash knows no such variable.
const SCRIPT = `#!/bin/bash -eu
echo "the script says \${BASH_VERSION:+hello}"
echo made > /etc/made
mkdir -p /root/projects
echo mine > /root/projects/mine
cat /etc/machine-id > /etc/id-of-the-build
`;

test('an image is built with a package and a script, and machines start from it with all of it and nothing of the builder (8.3, 8.4, 8.6)', async () => {
  const packages = fileOf('packages.txt', '# small, and needs nothing else\ntree\n');
  const flags = [
    '--step',
    'development',
    ...FEW_STEPS,
    '--packages',
    packages,
    '--script',
    fileOf('setup.sh', SCRIPT),
    '--progress',
    'plain',
  ];
  const built = await sandbox().banger(['image', 'build', '--name', 'own', ...flags], BUILD_LIMIT);
  assert.equal(built.status, 0, built.stderr);
  assert.equal(built.stdout, 'own\n');
  assert.match(built.stderr, /Unpacking tree [^]*✓ packages[^]*✓ kernel modules for Docker[^]*the script says hello[^]*✓ image record/);
  assert.deepEqual(
    (await remains()).filter((line) => !line.startsWith('images/')),
    ['own'],
  );

  const image = await show('own');
  assert.deepEqual([image.managed, image.packages, image.vms], [true, ['tree'], []]);
  assert.match(readFileSync(image.buildLogPath ?? '', 'utf8'), /== packages\n[^]*Setting up tree[^]*== clean up: done in/);

  const vm = await createVm(sandbox(), 'web', '--image', 'own');
  assert.equal(await settled(vm), 'running');
  const seen = await vm.sh(`tree --version | head -c 4; cat /etc/made /root/projects/mine; ls -d /var/tmp/banger-build 2>&1 | wc -l
    grep -cE '^(overlay|br_netfilter) ' /proc/modules; ls /var/lib/apt/lists | wc -l; ls -l /etc/systemd/system/home.mount | grep -c null`);
  assert.deepEqual(seen.split('\n'), ['treemade', 'mine', '1', '2', '0', '1']);
  const [id, idOfBuild] = (await vm.sh('cat /etc/machine-id /etc/id-of-the-build')).split('\n');
  assert.notEqual(id, idOfBuild);
  const keys = await vm.sh('ls /etc/ssh/ssh_host_*; grep -c . /root/.ssh/authorized_keys');
  assert.match(keys, /^\/etc\/ssh\/ssh_host_ed25519_key\n\/etc\/ssh\/ssh_host_ed25519_key\.pub\n\d+$/);
  const refused = await sandbox().banger(['image', 'delete', 'own']);
  assert.match(refused.stderr, /cannot be deleted while web boots from it/);
  await sandbox().must(['vm', 'delete', '-f', 'web']);
  await sandbox().must(['image', 'delete', 'own']);
  assert.deepEqual(await remains(), []);
});

/** Begins a build and returns while its script runs. */
async function buildUntilScript(name: string): Promise<ReturnType<typeof startBanger>> {
  const script = fileOf('long.sh', 'echo the script has begun\nsleep 600\n');
  const build = startBanger(sandbox(), ['image', 'build', '--name', name, ...FEW_STEPS, '--script', script, '--progress', 'plain']);
  await eventually('the script', build.stderr, (text) => text.includes('the script has begun'), 300_000);
  return build;
}

test('a build that its user gives up in the middle leaves neither image nor VM (8.3, 1.4)', async () => {
  const build = await buildUntilScript('given-up');
  build.child.kill('SIGINT');
  assert.deepEqual(await build.ended, { status: 130, signal: null }, build.stderr());
  assert.match(build.stderr(), /temporary VM undone\n.*image directory undone/);
  assert.deepEqual(await remains(), []);
});

test('if the daemon is killed during a build, neither image nor VM is left (8.3, 9.5)', async () => {
  const build = await buildUntilScript('killed');
  await killProcesses([(await daemonStatus(sandbox())).pid]);
  await build.ended;
  assert.deepEqual(await eventually('the recovery', remains, (left) => left.length === 0), []);
});

test('a registered root file system without a seed starts with an empty work disk of the asked size, in which a nested home moves up (8.5, 5.3, 7.3)', async () => {
  const bundle = bundleOfTests() ?? '';
  const { files } = JSON.parse(readFileSync(join(bundle, 'bundle.json'), 'utf8')) as { files: { rootfs: { path: string } } };
  const rootfs = join(sandbox().directory, 'home', 'mine.ext4');
  copyFileSync(join(bundle, files.rootfs.path), rootfs, constants.COPYFILE_FICLONE);
  chmodSync(rootfs, 0o644);
  await sandbox().must(['image', 'register', '--name', 'mine', '--rootfs', rootfs]);
  const vm = await createVm(sandbox(), 'bare', '--image', 'mine', '--disk-size', '3G');
  const [mebibytes = '', names = ''] = (await vm.sh('df -m --output=size /root | tail -n 1; ls -A /root | grep -v lost+found')).split('\n');
  assert.ok(Number(mebibytes) > 2800, `${mebibytes} MiB`);
  assert.equal(names, '.ssh');
  // As a work disk that was filled with a copy of the whole of /root.
  await vm.sh('mkdir -p /root/root/.ssh; cd /root/root; echo bash > .bashrc; echo notes > notes; echo config > .ssh/config; sync');
  await sandbox().must(['vm', 'restart', 'bare']);
  assert.equal(await vm.sh('cat /root/.bashrc /root/notes; ls -A /root/root; cat /root/root/.ssh/config'), 'bash\nnotes\n.ssh\nconfig');
  await sandbox().must(['vm', 'delete', '-f', 'bare']);
  await sandbox().must(['image', 'delete', 'mine']);
  assert.ok(existsSync(rootfs));
});
