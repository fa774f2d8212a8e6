// Foreign images as real VMs: a container of busybox, which has no init, from an OCI layout and from what docker save writes.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dockerArchive, ociFiles, type Piece, tarOf, writeFiles } from '../support/container-image.ts';
import { createVm, eventually, hear, useSandbox } from '../support/e2e.ts';

const sandbox = useSandbox();

/** Says who it is to whoever connects, and what it was told. */
const SERVE = `#!/bin/sh
echo "serving as $(id -u):$(id -g) in $PWD with $GREETING $*"
exec nc -ll -p 8080 -e /bin/sh -c 'echo "$GREETING from $(id -u)"'
`;

function busybox(): Piece[] {
  const links = ['sh', 'id', 'nc', 'echo', 'cat', 'ls', 'sync', 'sleep', 'hostname'];
  return [
    { path: 'bin/busybox', mode: 0o755, body: readFileSync('/bin/busybox') },
    ...links.map((name): Piece => ({ path: `bin/${name}`, type: 'symlink', mode: 0o777, linkPath: 'busybox' })),
    { path: 'etc/passwd', body: 'root:x:0:0::/root:/bin/sh\nweb:x:1234:1235::/srv:/bin/sh\n' },
    { path: 'etc/gone', body: 'x' },
  ];
}

const upper = tarOf([
  { path: 'srv/serve', mode: 0o755, body: SERVE },
  { path: 'etc/.wh.gone', body: '' },
]);
const config = { Entrypoint: ['/srv/serve'], Cmd: ['a b'], Env: ['PATH=/bin', 'GREETING=hello'], User: 'web', WorkingDir: '/srv' };

/** A place that the daemon's user can read. */
function place(name: string): string {
  const directory = join(sandbox().directory, 'home', 'given');
  mkdirSync(directory, { recursive: true });
  for (const one of [directory, join(directory, '..')]) chmodSync(one, 0o755);
  return join(directory, name);
}

test('an OCI layout becomes a VM whose entrypoint runs, with its user, directory and variables (8.8, 7.2)', async () => {
  const layout = writeFiles(place('layout'), ociFiles([tarOf(busybox()), upper], config));
  await sandbox().must(['image', 'import', layout, '--name', 'web']);
  const vm = await createVm(sandbox(), 'web', '--image', 'web');
  const { address } = await vm.show();
  assert.equal(
    await eventually(
      'the entrypoint',
      () => hear(sandbox(), address, 8080),
      (text) => text !== '',
    ),
    'hello from 1234',
  );
  assert.match(await sandbox().must(['vm', 'logs', 'web']), /serving as 1234:1235 in \/srv with hello a b/);
  assert.equal(await vm.sh('cat /etc/gone 2>/dev/null || echo gone; hostname; id -u'), 'gone\nweb\n0');
  const ssh = await sandbox().banger(['vm', 'ssh', 'web', '--', 'true']);
  assert.notEqual(ssh.status, 0);
  assert.match(ssh.stderr, /banger vm exec web/);
});

test('it keeps what it wrote over a restart, runs again, and powers off (8.8, 3.5, 3.6)', async () => {
  const vm = { sh: async (script: string) => (await sandbox().must(['vm', 'exec', 'web', '--', 'sh', '-c', script])).trim() };
  await vm.sh('echo kept > /srv/kept; echo kept > /root/kept; sync');
  await sandbox().must(['vm', 'restart', 'web']);
  assert.equal(await vm.sh('cat /srv/kept /root/kept'), 'kept\nkept');
  const { address } = JSON.parse(await sandbox().must(['vm', 'show', 'web', '-o', 'json'])) as { address: string };
  await eventually(
    'the entrypoint again',
    () => hear(sandbox(), address, 8080),
    (text) => text === 'hello from 1234',
  );
  await sandbox().must(['vm', 'stop', 'web']);
  assert.match(await sandbox().must(['vm', 'logs', '--events', 'web']), /stop/);
});

test('what docker save wrote is read from standard input; a failing entrypoint is started again, and exec works (8.8)', async () => {
  const archive = dockerArchive([tarOf(busybox())], { Entrypoint: ['/bin/sh', '-c', 'echo trying; exit 3'] });
  await sandbox().must(['image', 'import', '-', '--name', 'failing'], { input: archive });
  const vm = await createVm(sandbox(), 'failing', '--image', 'failing');
  const log = await eventually(
    'the second try',
    () => sandbox().must(['vm', 'logs', 'failing']),
    (text) => (text.match(/trying/g) ?? []).length > 1,
  );
  assert.match(log, /ended with status 3; again in 1 s/);
  assert.equal(await vm.sh('echo well'), 'well');
});

test('what is refused leaves neither image nor file (8.8)', async () => {
  const path = place('escape.tar');
  writeFileSync(path, tarOf([{ path: '../../../etc/banger-escaped' }]));
  const { status, stderr } = await sandbox().banger(['image', 'import', path]);
  assert.equal(status, 2);
  assert.match(stderr, /leads out of the image/);
  assert.deepEqual((await sandbox().must(['image', 'list', '-q'])).trim().split('\n').toSorted(), ['default', 'failing', 'web']);
  assert.deepEqual(readdirSync(join(sandbox().directory, 'state', 'images')).length, 2);
  for (const name of ['web', 'failing']) await sandbox().must(['vm', 'delete', '--force', name]);
  await sandbox().must(['image', 'delete', 'web', 'failing']);
});
