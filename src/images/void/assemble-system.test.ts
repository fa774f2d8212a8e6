// Small packages, really put together into a kernel, an initramfs and file systems, which are read again by debugfs.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Piece, sha256, tarOf } from '../../../test/support/images/container-image.ts';
import { indexOf, newSigner, packageOf, type Recipe } from '../../../test/support/images/void-repository.ts';
import { realHost } from '../../host/host.ts';
import { INITRAMFS_MODULES } from '../bundle/modules.ts';
import { assembleSystem } from './assemble-system.ts';
import { parseDictionary, renderPlist } from './plist.ts';
import { readRepository } from './repository.ts';
import { resolve } from './resolve.ts';
import { parseKey, type TrustedKey } from './signature.ts';

const signer = newSigner();
const signal = new AbortController().signal;
const VERSION = '6.12.21_1';

/** As much of a bzImage and of an ELF file as is looked at (Documentation/arch/x86/boot.rst, elf(5)). */
function bzImage(): Buffer {
  const elf = Buffer.alloc(128);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  elf.writeUInt16LE(62, 18);
  const setup = Buffer.alloc(1024);
  setup[0x1f1] = 1;
  setup.write('HdrS', 0x202, 'latin1');
  setup.writeUInt16LE(0x20f, 0x206);
  setup.writeUInt32LE(elf.length, 0x24c);
  return Buffer.concat([setup, elf]);
}

const modules = `./usr/lib/modules/${VERSION}`;
const KERNEL: Recipe = {
  pkgver: 'linux6.12-6.12.21_1',
  files: [
    { path: `./boot/vmlinuz-${VERSION}`, body: bzImage() },
    { path: `${modules}/kernel/drivers/net/dummy.ko`, body: 'module' },
    { path: `${modules}/modules.builtin`, body: INITRAMFS_MODULES.map((name) => `kernel/${name}.ko\n`).join('') },
  ],
};
const BASE: Recipe = {
  pkgver: 'base-files-0.145_1',
  install: 'echo "$@"\n',
  files: [
    { path: './bin', type: 'symlink', linkPath: 'usr/bin', mode: 0o777 },
    { path: './sbin', type: 'symlink', linkPath: 'usr/bin', mode: 0o777 },
    { path: './etc/os-release', body: 'ID="void"\n' },
  ],
};
const SHELL: Recipe = {
  pkgver: 'dash-0.5_1',
  files: [{ path: './usr/bin/dash', mode: 0o4755, uid: 0, gid: 5, body: 'dash' }],
  props: {
    run_depends: ['base-files>=0'],
    alternatives: new Map([['sh', ['sh:/usr/bin/dash', '/usr/share/man/sh.1:/usr/share/man/dash.1']]]),
  },
};
const OTHER_SHELL: Recipe = {
  pkgver: 'zsh-5_1',
  props: { run_depends: ['dash>=0'], alternatives: new Map([['sh', ['sh:/usr/bin/zsh']]]) },
};
const RUNIT: Recipe = {
  pkgver: 'runit-2.2_1',
  files: [
    { path: './usr/bin/runit-init', mode: 0o755, body: 'runit' },
    { path: './usr/bin/init', type: 'symlink', linkPath: 'runit-init', mode: 0o777 },
  ],
  props: { run_depends: ['base-files>=0'] },
};

type Made = { directory: string; debugfs(command: string): string };

/** @param change of the packages as they lie there when they are read, by name and version */
async function assemble(
  t: TestContext,
  recipes: readonly Recipe[],
  change: Readonly<Record<string, Buffer>> = {},
): Promise<Made & { facts: object }> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-void-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const packages = [KERNEL, ...recipes].map((recipe) => packageOf(recipe));
  for (const { pkgver, bytes } of packages) writeFileSync(path(pkgver), change[pkgver] ?? bytes);
  writeFileSync(path('agent'), 'agent');
  const repository = await readRepository(indexOf(packages, signer), signal);
  const key = parseKey(Buffer.from(signer.pem)) as TrustedKey;
  const lines: string[] = [];
  const facts = await assembleSystem({
    ...{ host: realHost, signal, agentPath: path('agent'), scratch: path('scratch'), mirror: 'http://127.0.0.1/void' },
    packages: resolve(repository, [...repository.packages.keys()].reverse()).map((one) => ({
      ...one,
      path: path(one.one.pkgver),
    })),
    kernel: { name: 'linux6.12', path: path('kernel') },
    repository: { ...repository, key },
    ...{ initramfs: path('initramfs'), modules: path('modules.tar.zst'), rootfs: path('rootfs'), workSeed: path('seed') },
    onProgress: () => undefined,
    onLog: (line) => void lines.push(line),
  });
  for (const file of ['rootfs', 'seed']) execFileSync('e2fsck', ['-fn', path(file)], { stdio: 'pipe' });
  assert.deepEqual(readdirSync(path('scratch')), []);
  const debugfs = (command: string): string =>
    execFileSync('debugfs', ['-R', command, path('rootfs')], { encoding: 'utf8', stdio: 'pipe' });
  return { directory, debugfs, facts };
}

test('packages become a kernel with initramfs and modules, and a root file system that xbps knows (8.7)', async (t) => {
  const { facts, directory, debugfs } = await assemble(t, [BASE, SHELL, OTHER_SHELL, RUNIT]);
  const agentSha256 = createHash('sha256').update('agent').digest('hex');
  assert.deepEqual(facts, { distribution: 'void', initSystem: 'runit', kernelVersion: VERSION, agentSha256 });
  assert.equal(readFileSync(join(directory, 'kernel')).toString('latin1', 1, 4), 'ELF');
  assert.match(readFileSync(join(directory, 'initramfs')).toString('latin1'), /^070701[^]*modules\/order[^]*TRAILER/);
  const list = execFileSync('tar', ['--zstd', '-tf', join(directory, 'modules.tar.zst')], { encoding: 'utf8' });
  assert.match(list, new RegExp(`^lib/modules/${VERSION}/kernel/drivers/net/dummy\\.ko$`, 'm'));
  assert.match(debugfs('stat /usr/bin/dash'), /Mode:\s+04755[^]*Group:\s+5/);
  assert.match(debugfs('stat /sbin'), /Fast link dest: "usr\/bin"/);
  assert.match(debugfs(`ls /usr/lib/modules/${VERSION}`), /modules\.builtin/);
  // None of what belongs to packages and not to the system.
  assert.doesNotMatch(debugfs('ls /'), /INSTALL|plist/);
});

test('xbps has the database that it would have after unpacking them (8.7)', async (t) => {
  const { debugfs } = await assemble(t, [BASE, SHELL, OTHER_SHELL]);
  const pkgdb = parseDictionary(debugfs('cat /var/db/xbps/pkgdb-0.38.plist'));
  assert.deepEqual([...pkgdb.keys()], ['_XBPS_ALTERNATIVES_', 'base-files', 'dash', 'linux6.12', 'zsh']);
  const base = pkgdb.get('base-files');
  assert.ok(base instanceof Map);
  const files = debugfs('cat /var/db/xbps/.base-files-files.plist');
  assert.deepEqual(
    ['pkgver', 'state', 'repository', 'metafile-sha256', 'install-script', 'automatic-install', 'pkgname'].map((name) => base.get(name)),
    [
      'base-files-0.145_1',
      'unpacked',
      'http://127.0.0.1/void',
      sha256(Buffer.from(files)),
      Buffer.from('echo "$@"\n'),
      undefined,
      undefined,
    ],
  );
  // The first of a group has its links.
  assert.deepEqual(pkgdb.get('_XBPS_ALTERNATIVES_'), new Map([['sh', ['dash', 'zsh']]]));
  assert.match(debugfs('stat /usr/bin/sh'), /Fast link dest: "dash"/);
  assert.match(debugfs('stat /usr/share/man/sh.1'), /Fast link dest: "dash.1"/);
  const key = parseKey(Buffer.from(signer.pem));
  assert.ok(key !== undefined);
  assert.deepEqual(parseDictionary(debugfs(`cat /var/db/xbps/keys/${key.fingerprint}.plist`)).get('public-key'), Buffer.from(signer.pem));
  assert.equal(debugfs('cat /etc/xbps.d/00-repository-main.conf'), 'repository=http://127.0.0.1/void\n');
  assert.match(debugfs('stat /tmp'), /Mode:\s+01777/);
  const order = debugfs('cat /var/lib/banger/install/order')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  assert.deepEqual(
    order.map(([name, version]) => `${name}-${version}`),
    ['base-files-0.145_1', 'dash-0.5_1', 'zsh-5_1', 'linux6.12-6.12.21_1'],
  );
  assert.equal(debugfs(`cat ${order[0]?.[2]}`), 'echo "$@"\n');
  assert.deepEqual(
    order.slice(1).map(([, , script]) => script),
    ['-', '-', '-'],
  );
});

test('packages of before 2020 are packed by xz, and read as well (8.7)', async (t) => {
  const xz = (tar: Buffer): Buffer => execFileSync('xz', ['--stdout'], { input: tar });
  const { debugfs } = await assemble(t, [BASE, SHELL], { 'dash-0.5_1': packageOf(SHELL, xz).bytes });
  assert.equal(debugfs('cat /usr/bin/dash'), 'dash');
  const damaged = packageOf(SHELL, xz).bytes.fill(7, 40, 80);
  await assert.rejects(assemble(t, [BASE, SHELL], { 'dash-0.5_1': damaged }), {
    code: 'DOWNLOAD_FAILED',
    message: /dash-0\.5_1: it is packed with xz and damaged/,
  });
});

/** Signed content that no package has; each is what a key that was stolen could sign. */
const bad = (...pieces: Piece[]): Recipe => ({ pkgver: 'bad-1_1', files: pieces });

test('a package with entries that lead elsewhere is refused (8.7)', async (t) => {
  const refused: [Recipe, RegExp][] = [
    [bad({ path: '../../etc/passwd', body: 'x' }), /leads out of the image/],
    [bad({ path: '/etc/passwd', body: 'x' }), /begins at the root/],
    [
      bad({ path: './etc/link', type: 'symlink', linkPath: '/root' }, { path: './etc/link/x', body: 'x' }),
      /lies below "etc\/link", which is a symlink/,
    ],
    [bad({ path: './usr/x', type: 'hardlink', linkPath: '../../etc/shadow' }), /leads out of the image/],
    [bad({ path: './usr/x', type: 'hardlink', linkPath: './etc/none' }), /no file of the image/],
    [bad({ path: './srv/disk', type: 'device' }), /device node outside \/dev/],
    [bad({ path: './srv/pipe', type: 'fifo' }), /named pipe/],
    [{ ...bad(), props: { alternatives: new Map([['x', ['../../../etc/x:../y']]]) } }, /alternative "/],
    [{ ...bad(), props: { alternatives: new Map([['x', ['a']]]) } }, /alternative "a"/],
    [{ ...bad(), props: { alternatives: new Map([['x', ['../../../../a:/usr/bin/b', '/../../x:/y']]]) } }, /leads out of the image/],
  ];
  for (const [recipe, reason] of refused) {
    await assert.rejects(assemble(t, [BASE, recipe]), { code: 'DOWNLOAD_FAILED', message: reason }, String(reason));
  }
});

test('a package with a file of another one is refused, in any form (8.7)', async (t) => {
  const refused: [Recipe, RegExp][] = [
    [bad({ path: './etc/os-release', body: 'mine' }), /"\.\/etc\/os-release" of \S+ clashes with \S+/],
    [bad({ path: './usr', type: 'symlink', linkPath: 'opt' }), /clashes with/],
    [bad({ path: './bin/sh', body: 'x' }), /lies below "bin", which is a symlink/],
    [bad({ path: './var/db/xbps/pkgdb-0.38.plist', body: 'x' }), /clashes with what lies there/],
  ];
  for (const [recipe, reason] of refused) {
    await assert.rejects(assemble(t, [BASE, recipe]), { code: 'DOWNLOAD_FAILED', message: reason }, String(reason));
  }
});

test('a signed package in place of another, a damaged one and a bomb are refused (8.7)', async (t) => {
  const tar = (...pieces: Piece[]): Buffer => gzipSync(tarOf(pieces));
  const props = { path: './props.plist', body: renderPlist(new Map([['pkgver', 'dash-0.5_1']])) };
  const files = { path: './files.plist', body: renderPlist(new Map()) };
  const whole = packageOf(SHELL).bytes;
  const change: [Buffer, RegExp][] = [
    [packageOf({ ...SHELL, pkgver: 'dash-0.4_1' }).bytes, /dash-0\.5_1 says that it is "dash-0\.4_1"/],
    [packageOf(RUNIT).bytes, /dash-0\.5_1 says that it is "runit-2\.2_1"/],
    [tar(files), /not an xbps package/],
    [tar(props), /not an xbps package/],
    [tar(props, { ...files, body: 'x' }), /no property list/],
    [tar({ path: './x', body: 'x' }, props, files), /\.\/props\.plist that cannot be one/],
    [tar(props, files, props), /\.\/props\.plist that cannot be one/],
    [tar({ path: './props.plist', type: 'symlink', linkPath: '/etc/passwd' }, files), /\.\/props\.plist that cannot be one/],
    [whole.subarray(0, whole.length - 20), /dash-0\.5_1: /],
    [gzipSync(tarOf([props, files]).subarray(0, 700)), /ends early/],
    [Buffer.from('no archive'), /dash-0\.5_1: /],
    [tar(props, files, { path: './zeros', body: Buffer.alloc(300 * 1024 ** 2) }), /grows to more than 200 times/],
  ];
  for (const [bytes, reason] of change) {
    await assert.rejects(assemble(t, [BASE, SHELL], { 'dash-0.5_1': bytes }), { code: 'DOWNLOAD_FAILED', message: reason }, String(reason));
  }
});

test('a repository whose kernel package has no kernel, or one that does not boot, is refused (8.7)', async (t) => {
  const kernel = (...pieces: Piece[]): Record<string, Buffer> => ({ [KERNEL.pkgver]: packageOf({ ...KERNEL, files: pieces }).bytes });
  const vmlinuz = { path: `./boot/vmlinuz-${VERSION}`, body: bzImage() };
  await assert.rejects(assemble(t, [BASE], kernel({ path: './boot/config', body: '' })), {
    code: 'DOWNLOAD_FAILED',
    message: /has 0 kernels/,
  });
  await assert.rejects(assemble(t, [BASE], kernel(vmlinuz, { ...vmlinuz, path: './boot/vmlinuz-2' })), { message: /has 2 kernels/ });
  await assert.rejects(assemble(t, [BASE], kernel(vmlinuz)), { code: 'DOWNLOAD_FAILED', message: /has no modules/ });
  const builtin = { path: `${modules}/kernel/dummy.ko`, body: '' };
  await assert.rejects(assemble(t, [BASE], kernel(vmlinuz, builtin)), { message: /no module virtio_mmio/ });
  await assert.rejects(assemble(t, [BASE], kernel({ ...vmlinuz, body: 'x' }, builtin)), {
    code: 'INVALID_INPUT',
    message: /not a bzImage/,
  });
});
