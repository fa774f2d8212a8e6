// Real archives, really put together into file systems, which are read again by debugfs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { dockerArchive, ociFiles, type Piece, tarOf } from '../../../test/support/images/container-image.ts';
import { directoryFor, importOf } from '../../../test/support/images/imported-image.ts';
import { realHost } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { importImage } from './import-image.ts';

test('owners, modes, times, links and capabilities of a tar come out as they were (8.8)', async (t) => {
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  const image = await importOf(
    t,
    zstdCompressSync(
      tarOf([
        { path: './', type: 'directory', mode: 0o755 },
        { path: './bin/ping', mode: 0o4755, body: 'ping', uid: 0, gid: 12, xattrs: new Map([['security.capability', capability]]) },
        { path: './home/me/notes', body: 'hello', uid: 1000, gid: 1001, mode: 0o640 },
        { path: './home/me/same', type: 'hardlink', linkPath: './home/me/notes' },
        { path: './home/me/link', type: 'symlink', linkPath: '/etc/passwd' },
        { path: './dev/null', type: 'device', mode: 0o666 },
        { path: './root/.profile', body: 'umask 22\n', mode: 0o600 },
        { path: './etc/os-release', body: 'ID=debian\nVERSION_ID="12"\n' },
      ]),
    ),
  );
  assert.match(image.debugfs('stat /bin/ping'), /Mode:\s+04755[^]*User:\s+0\s+Group:\s+12[^]*security\.capability/);
  assert.match(image.debugfs('stat /home/me/notes'), /Mode:\s+0640[^]*User:\s+1000\s+Group:\s+1001[^]*Links: 2[^]*mtime: 0x6553f100/);
  assert.match(image.debugfs('stat /home/me/link'), /Type: symlink[^]*\/etc\/passwd/);
  assert.equal(image.debugfs('cat /home/me/same'), 'hello');
  assert.doesNotMatch(image.debugfs('ls /dev'), /null/);
  assert.equal(image.seed('cat /.profile'), 'umask 22\n');
  assert.deepEqual([image.distribution, image.initSystem, image.entrypoint], ['debian 12', 'none', null]);
});

const LAYERS = [
  tarOf([
    { path: 'etc/', type: 'directory', mode: 0o755 },
    { path: 'etc/kept', body: 'one' },
    { path: 'etc/gone', body: 'one' },
    { path: 'etc/changed', body: 'one' },
    { path: 'etc/linked', type: 'hardlink', linkPath: 'etc/changed' },
    { path: 'srv/old/a', body: 'a' },
    { path: 'srv/old/b/c', body: 'c' },
    { path: 'opt/tool', body: 'tool' },
  ]),
  tarOf([
    { path: 'etc/.wh.gone' },
    { path: 'etc/changed', body: 'two' },
    { path: 'srv/old/new', body: 'new' },
    { path: 'srv/old/.wh..wh..opq' },
    { path: '.wh.opt' },
  ]),
];
const RUN = { Entrypoint: ['/bin/serve'], Cmd: ['--port', '80'], Env: ['PATH=/bin', 'A=b=c', '=x'], User: '1000:1000', WorkingDir: '/srv' };

const FORMS: Record<string, () => Buffer | ReadonlyMap<string, Buffer>> = {
  'the directory of an OCI layout': () => ociFiles(LAYERS, RUN),
  'an OCI archive': () => tarOf([...ociFiles(LAYERS, RUN)].map(([path, body]): Piece => ({ path, body }))),
  'what docker save writes': () => dockerArchive(LAYERS, RUN),
  'the same, packed with gzip': () => gzipSync(dockerArchive(LAYERS, RUN)),
};

for (const [name, make] of Object.entries(FORMS)) {
  test(`${name}: layers are merged, and the entrypoint is kept (8.8)`, async (t) => {
    const image = await importOf(t, make());
    assert.equal(image.debugfs('cat /etc/kept'), 'one');
    assert.equal(image.debugfs('cat /etc/changed'), 'two');
    // The name that stayed still has what the first layer linked it to.
    assert.equal(image.debugfs('cat /etc/linked'), 'one');
    assert.doesNotMatch(image.debugfs('ls /etc'), /gone|\.wh/);
    assert.match(image.debugfs('ls /srv/old'), /new/);
    assert.doesNotMatch(image.debugfs('ls /srv/old'), / a | b /);
    assert.doesNotMatch(image.debugfs('ls /'), /opt/);
    const { entrypoint, env, user, workdir, initSystem } = image;
    assert.deepEqual(
      { entrypoint, env, user, workdir, initSystem },
      {
        entrypoint: ['/bin/serve', '--port', '80'],
        env: { PATH: '/bin', A: 'b=c' },
        user: '1000:1000',
        workdir: '/srv',
        initSystem: 'none',
      },
    );
  });
}

const xz = (bytes: Buffer): Buffer => execFileSync('xz', ['-0', '--stdout'], { input: bytes, maxBuffer: 1024 ** 3 });

test('archives packed with xz are imported, by the program of that name (8.8)', async (t) => {
  const plain = await importOf(t, xz(tarOf([{ path: './etc/os-release', body: 'ID=alpine\n' }])));
  assert.equal(plain.distribution, 'alpine');
  const container = await importOf(t, xz(dockerArchive(LAYERS, RUN)));
  assert.deepEqual(container.entrypoint, ['/bin/serve', '--port', '80']);
  const host = { ...realHost, findProgram: (name: string) => Promise.resolve(name === 'xz' ? undefined : name) };
  const directory = directoryFor(t);
  const path = join(directory, 'given.tar.xz');
  writeFileSync(path, xz(tarOf([{ path: 'a' }])));
  const places = { scratch: join(directory, 'scratch'), rootfs: join(directory, 'rootfs'), workSeed: join(directory, 'seed') };
  const importing = importImage({
    ...{ path, reference: undefined, modulesPath: null, ...places, host },
    ...{ signal: new AbortController().signal, onProgress: () => undefined, onLog: () => undefined },
  });
  await assert.rejects(importing, { code: 'PREREQUISITE_MISSING', message: /needs xz/, remedy: 'sudo apt-get install xz-utils' });
});

const changed = (files: Map<string, Buffer>, pick: RegExp, change: (bytes: Buffer) => Buffer): Map<string, Buffer> =>
  new Map([...files].map(([name, bytes]) => [name, pick.test(bytes.toString('latin1')) ? change(bytes) : bytes]));

const REFUSED: Record<string, [given: () => Buffer | ReadonlyMap<string, Buffer>, reason: RegExp]> = {
  'a path with ..': [() => tarOf([{ path: 'a/../../etc/passwd' }]), /leads out of the image/],
  'a path from the root with ..': [() => tarOf([{ path: '/../etc/passwd' }]), /leads out of the image/],
  'a file behind a link': [
    () =>
      tarOf([
        { path: 'a', type: 'symlink', linkPath: '/etc' },
        { path: 'a/passwd', body: 'x' },
      ]),
    /lies below "a", which is a symlink/,
  ],
  'a hard link to what is not in it': [() => tarOf([{ path: 'a', type: 'hardlink', linkPath: 'etc/shadow' }]), /no file of the image/],
  'a hard link that leads out': [() => tarOf([{ path: 'a', type: 'hardlink', linkPath: '../../etc/shadow' }]), /leads out/],
  'a device node': [() => tarOf([{ path: 'srv/sda', type: 'device' }]), /device node outside \/dev/],
  'an owner beyond what can be mapped': [() => tarOf([{ path: 'a', uid: 70_000 }]), /70000/],
  'a bomb': [() => zstdCompressSync(tarOf([{ path: 'zeros', body: Buffer.alloc(300 * 1024 ** 2) }])), /grows to more than 200 times/],
  'no archive at all': [() => Buffer.from('hello '.repeat(200)), /no tar/],
  nothing: [() => Buffer.alloc(0), /empty/],
  'half of an archive': [() => tarOf([{ path: 'a', body: 'x'.repeat(2000) }]).subarray(0, 1400), /ends early/],
  'damaged gzip': [() => gzipSync(tarOf([{ path: 'a', body: 'x' }])).fill(7, 20, 40), /damaged/],
  'a compression that is not read': [() => Buffer.from('425a683931415926', 'hex'), /bunzip2/],
  'a layer packed with xz': [() => dockerArchive([xz(LAYERS[0] ?? Buffer.alloc(0))], RUN), /unxz/],
  'damaged xz': [() => xz(tarOf([{ path: 'a', body: 'x'.repeat(5000) }])).fill(7, 40, 80), /packed with xz and damaged/],
  'half of an xz': [() => xz(tarOf([{ path: 'a', body: 'x'.repeat(5000) }])).subarray(0, 90), /packed with xz and damaged/],
  'a bomb packed with xz': [() => xz(Buffer.alloc(300 * 1024 ** 2)), /has more than 268435456 bytes/],
  'a directory without a layout': [() => new Map([['hello', Buffer.from('x')]]), /without an OCI layout/],
  'another architecture': [() => foreign(), /not for linux/],
  'a blob that is not what its digest says': [
    () => changed(ociFiles(LAYERS, RUN), /"diff_ids"/, (bytes) => Buffer.from(bytes.toString().replace('/srv', '/etc'))),
    /digest/,
  ],
  'a reference that is not in it': [() => dockerArchive(LAYERS, RUN), /there is no "other"/],
};

function foreign(): Map<string, Buffer> {
  const index = { schemaVersion: 2, manifests: [{ ...described(), platform: { os: 'linux', architecture: 's390x' } }] };
  return ociFiles(LAYERS, RUN).set('index.json', Buffer.from(JSON.stringify(index)));
}

function described(): object {
  const index = JSON.parse(String(ociFiles(LAYERS, RUN).get('index.json'))) as { manifests: object[] };
  return index.manifests[0] ?? {};
}

for (const [name, [given, reason]] of Object.entries(REFUSED)) {
  test(`refused, and nothing is made: ${name} (8.8)`, async (t) => {
    const reference = name.startsWith('a reference') ? 'other' : undefined;
    await assert.rejects(importOf(t, given(), { reference }), (error) => {
      assert.ok(error instanceof BangerError, String(error));
      assert.equal(error.code, 'INVALID_INPUT');
      assert.match(`${error.message} ${error.remedy}`, reason);
      return true;
    });
  });
}

test('more entries than any system has are refused before they fill the memory (8.8)', async (t) => {
  const one = tarOf([{ path: 'a/b' }]).subarray(0, 512);
  await assert.rejects(importOf(t, gzipSync(Buffer.alloc(one.length * 500_001, one), { level: 1 })), /more than 500000 entries/);
});

test('a link that names a place of the host stays a name: nothing is written there (8.8)', async (t) => {
  const outside = join(directoryFor(t), 'outside');
  mkdirSync(outside);
  const image = await importOf(
    t,
    tarOf([
      { path: 'root', type: 'symlink', linkPath: outside },
      { path: 'usr', type: 'symlink', linkPath: outside },
    ]),
  );
  assert.deepEqual(readdirSync(outside), []);
  assert.ok(existsSync(outside));
  assert.match(image.debugfs('stat /root'), /Type: symlink/);
  assert.match(image.seed('ls /'), /lost\+found/);
});

test('a cancel in the middle ends the work and its processes (8.8, 1.4)', async (t) => {
  const directory = directoryFor(t);
  const path = join(directory, 'given');
  writeFileSync(path, tarOf(Array.from({ length: 200 }, (_, at): Piece => ({ path: `f${at}`, body: Buffer.alloc(1024 ** 2, at) }))));
  const controller = new AbortController();
  const importing = importImage({
    ...{ path, reference: undefined, modulesPath: null, scratch: join(directory, 'scratch') },
    ...{ rootfs: join(directory, 'rootfs'), workSeed: join(directory, 'seed'), host: realHost, onLog: () => undefined },
    signal: controller.signal,
    onProgress: (text) => {
      if (text.startsWith('writing')) setTimeout(() => controller.abort(), 50);
    },
  });
  await assert.rejects(importing);
  assert.doesNotMatch(execFileSync('cat', ['/proc/mounts'], { encoding: 'utf8' }), new RegExp(directory));
});
