// Foreign images as real VMs: containers of busybox, which have no init, as umoci and skopeo make them.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tarOf } from '../support/images/container-image.ts';
import { createVm, eventually, guest, hear, useSandbox } from '../support/machine/e2e.ts';
import { archiveOf, type ImageChange, makeLayout } from '../support/images/image-tools.ts';

const sandbox = useSandbox();

/** Says who it is to whoever connects, and what it was told. */
const SERVE = `#!/bin/sh
echo "serving as $(id -u):$(id -G) in $PWD with $GREETING $*"
echo "told $(busybox tr '\\0' ' ' < /proc/$$/environ)"
trap 'echo "asked to end by its own signal"; exit' QUIT
nc -ll -p 8080 -e /bin/sh -c 'echo "$GREETING from $(id -u)"' &
wait
`;

/** A place that the daemon's user can read. */
function place(name: string): string {
  const directory = join(sandbox().directory, 'home', 'given');
  mkdirSync(directory, { recursive: true });
  for (const one of [directory, join(directory, '..')]) chmodSync(one, 0o755);
  return join(directory, name);
}

/** The sources of the layers: `base`, and `srv` and `upper` for what lies above it. */
function writeSources(): void {
  for (const name of ['base/bin', 'base/etc', 'base/data/old', 'srv', 'upper']) mkdirSync(place(name), { recursive: true });
  copyFileSync('/bin/busybox', place('base/bin/busybox'));
  for (const name of ['sh', 'id', 'nc', 'echo', 'cat', 'ls', 'sync', 'sleep', 'hostname', 'tail', 'cut'])
    symlinkSync('busybox', place(`base/bin/${name}`));
  writeFileSync(place('base/etc/passwd'), 'root:x:0:0::/root:/bin/sh\nweb:x:1234:1235::/srv:/bin/sh\n');
  writeFileSync(place('base/etc/group'), 'web:x:1235:\nmore:x:99:web\n');
  mkdirSync(place('base/run/image'), { recursive: true });
  writeFileSync(place('base/run/image/file'), 'below run', { mode: 0o640 });
  symlinkSync('image/file', place('base/run/link'));
  writeFileSync(place('base/etc/gone'), 'x');
  writeFileSync(place('srv/serve'), SERVE, { mode: 0o755 });
  writeFileSync(place('upper/new'), 'x');
}

const base: ImageChange = ['insert', 'base', '/'];
const words = (flag: string, ...values: string[]): string[] => values.map((value) => `--config.${flag}=${value}`);

/** @returns path of a layout with two images, from which archives are made as well */
function writeLayout(): string {
  writeSources();
  return makeLayout(place(''), {
    web: [
      base,
      ['insert', 'srv', '/srv'],
      ['insert', '--whiteout', '/etc/gone'],
      ['insert', '--opaque', 'upper', '/data'],
      ['config', ...words('entrypoint', '/srv/serve'), ...words('cmd', 'a b')],
      ['config', ...words('env', 'PATH=/bin', 'GREETING=hello', 'discovery.type=single-node', 'my-var=1')],
      // No layer has the directory.
      ['config', ...words('user', 'web'), ...words('workingdir', '/srv/work/here'), ...words('stopsignal', 'SIGQUIT')],
    ],
    failing: [base, ['config', ...words('user', 'web:7'), ...words('entrypoint', '/bin/sh', '-c', 'echo "trying as $(id -G)"; exit 3')]],
  });
}

/** Waits until the entrypoint of a VM of the image `web` is heard on the host. */
async function served(address: string): Promise<void> {
  await eventually(
    'the entrypoint',
    () => hear(sandbox(), address, 8080),
    (text) => text === 'hello from 1234',
  );
}

test('an OCI layout of umoci becomes a VM whose entrypoint runs, with its user, directory and variables (8.8, 7.2)', async () => {
  await sandbox().must(['image', 'import', writeLayout(), '--reference', 'web', '--name', 'web']);
  const vm = await createVm(sandbox(), 'web', '--image', 'web');
  const { address } = await vm.show();
  await served(address);
  assert.match(await sandbox().must(['vm', 'logs', 'web']), /serving as 1234:1235 99 in \/srv\/work\/here with hello a b/);
  for (const said of [
    await sandbox().must(['vm', 'logs', 'web']),
    await sandbox().must(['vm', 'exec', 'web', '--', 'cat', '/proc/self/environ']),
  ]) {
    for (const variable of ['GREETING=hello', 'discovery.type=single-node', 'my-var=1'])
      assert.ok(said.includes(variable), `${variable}: ${said}`);
  }
  assert.equal(await vm.sh('cat /etc/gone 2>/dev/null || echo gone; ls /data; hostname; id -u'), 'gone\nnew\nweb\n0');
  assert.equal(await vm.sh('cat /run/link; ls -l /run/image | tail -n 1 | cut -c 1-10; echo changed > /run/link'), 'below run-rw-r-----');
  const ssh = await sandbox().banger(['vm', 'ssh', 'web', '--', 'true']);
  assert.notEqual(ssh.status, 0);
  assert.match(ssh.stderr, /banger vm exec web/);
});

test('it keeps its data over a restart, runs again, and powers off (8.8, 3.5, 3.6)', async () => {
  const vm = guest(sandbox(), 'web');
  await vm.sh('echo kept > /srv/kept; echo kept > /root/kept; sync');
  await sandbox().must(['vm', 'restart', 'web']);
  assert.equal(await vm.sh('cat /srv/kept /root/kept /run/link'), 'kept\nkept\nbelow run');
  await served((await vm.show()).address);
  await sandbox().must(['vm', 'stop', 'web']);
  assert.match(await sandbox().must(['vm', 'logs', 'web']), /asked to end by its own signal/);
  assert.match(await sandbox().must(['vm', 'logs', '--events', 'web']), /stop/);
});

for (const form of ['oci-archive', 'docker-archive'] as const) {
  test(`the same as ${form} of skopeo becomes a VM whose entrypoint runs (8.8)`, async () => {
    await sandbox().must(['image', 'import', archiveOf(place(''), 'web', form), '--name', form]);
    const vm = await createVm(sandbox(), form, '--image', form);
    await served((await vm.show()).address);
    assert.equal(await vm.sh('cat /etc/gone 2>/dev/null || echo gone; ls /data'), 'gone\nnew');
    await sandbox().must(['vm', 'delete', '--force', form]);
    await sandbox().must(['image', 'delete', form]);
  });
}

test('what docker save wrote is read from standard input; a failing entrypoint is started again, and exec works (8.8)', async () => {
  const archive = readFileSync(archiveOf(place(''), 'failing', 'docker-archive'));
  await sandbox().must(['image', 'import', '-', '--name', 'failing'], { input: archive });
  const vm = await createVm(sandbox(), 'failing', '--image', 'failing');
  const log = await eventually(
    'the second try',
    () => sandbox().must(['vm', 'logs', 'failing']),
    (text) => (text.match(/trying/g) ?? []).length > 1,
  );
  // The group that is named takes the place of all others.
  assert.match(log, /trying as 7\s*\n[^]*ended with status 3; again in 1 s/);
  assert.equal(await vm.sh('echo well'), 'well');
});

test('a refused import leaves neither image nor file (8.8)', async () => {
  writeFileSync(place('escape.tar'), tarOf([{ path: '../../../etc/banger-escaped' }]));
  chmodSync(place('layout/index.json'), 0);
  for (const [name, reason] of [
    ['escape.tar', /leads out of the image/],
    ['layout', /index\.json cannot be read \(EACCES\)/],
  ] as const) {
    const { status, stderr } = await sandbox().banger(['image', 'import', place(name)]);
    assert.equal(status, 2);
    assert.match(stderr, reason);
  }
  assert.deepEqual((await sandbox().must(['image', 'list', '-q'])).trim().split('\n').toSorted(), ['default', 'failing', 'web']);
  assert.deepEqual(readdirSync(join(sandbox().directory, 'state', 'images')).length, 2);
  for (const name of ['web', 'failing']) await sandbox().must(['vm', 'delete', '--force', name]);
  await sandbox().must(['image', 'delete', 'web', 'failing']);
});
