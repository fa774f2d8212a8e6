import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BangerError } from '../../src/model/errors.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';

const MIB = 1024 ** 2;

/** Files of a user: a file system of 2 MiB, as much of it as is looked at. */
function ownFiles({ world }: TestDaemon) {
  const directory = join(world.directory, 'own');
  mkdirSync(directory, { recursive: true });
  const file = (name: string, bytes: Buffer, at: number, sizeBytes = MIB): string => {
    const path = join(directory, name);
    const descriptor = openSync(path, 'w');
    writeSync(descriptor, bytes, 0, bytes.length, at);
    closeSync(descriptor);
    truncateSync(path, sizeBytes);
    return path;
  };
  const superblock = Buffer.alloc(0x40);
  superblock.writeUInt32LE(512, 0x04);
  superblock.writeUInt32LE(2, 0x18);
  superblock.writeUInt16LE(0xef53, 0x38);
  superblock.writeUInt16LE(1, 0x3a);
  const elf = Buffer.from('7f454c4602010100000000000000000002003e00', 'hex');
  return {
    rootfs: file('root.ext4', superblock, 1024, 2 * MIB),
    cut: file('cut.ext4', superblock, 1024, MIB),
    seed: file('seed.ext4', superblock, 1024, 2 * MIB),
    kernel: file('vmlinux', elf, 0),
    initramfs: file('initramfs', Buffer.from('070701'), 0),
    nothing: file('nothing', Buffer.from('hello'), 0),
    directory,
  };
}

/** What lies in the directory of images. */
function directoriesOf({ world }: TestDaemon): string[] {
  const root = join(world.directories.stateDirectory, 'images');
  return existsSync(root) ? readdirSync(root) : [];
}

const hasCode = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof BangerError && error.code === code && text.test(`${error.message} ${error.remedy}`);

test('an image is registered, shown, used, promoted and deleted, and the user keeps the files (8.1, 8.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world, services } = daemon;
  const own = ownFiles(daemon);
  const banger = (...argv: string[]) => runInProcess({ ...world.env }, argv);
  const flags = ['--rootfs', own.rootfs, '--kernel', own.kernel, '--initramfs', own.initramfs, '--work-seed', own.seed];
  assert.deepEqual(await banger('image', 'register', '--name', 'mine', ...flags, '--service-port', '22'), {
    exitCode: 0,
    stdout: 'mine\n',
    stderr: 'recorded; try it: banger vm create --image mine\n',
  });
  const { id, managed, origin, servicePorts, vms } = await api.showImage('mine');
  assert.deepEqual([managed, origin, servicePorts, vms], [false, 'registered', [22], []]);
  assert.equal((await api.showImage(id.slice(0, 6))).name, 'mine');
  await created(api, 'web', { image: 'mine' });
  assert.deepEqual((await api.showImage('mine')).vms, ['web']);
  for (const verb of ['delete', 'promote']) {
    const refused = await banger('image', verb, 'mine');
    assert.match(refused.stderr, /cannot be (deleted|promoted) while web boots from it\n {2}try: .*banger vm delete web/, verb);
    assert.equal(refused.exitCode, 1);
  }
  assert.equal((await banger('image', 'promote', 'mine', '--name', 'copy')).stdout, 'copy\n');
  await done(api, api.beginVm('web', 'delete'));
  await done(api, api.promoteImage('mine', {}, false));
  const promoted = await api.showImage('mine');
  assert.deepEqual([promoted.id, promoted.managed], [id, true]);
  for (const path of [promoted.kernelPath, promoted.rootfsPath, promoted.workSeedPath ?? '']) {
    assert.ok(path.startsWith(services.images.pathsOf({ id }).directory) && existsSync(path), path);
  }
  await created(api, 'web', { image: 'mine' });
  await done(api, api.beginVm('web', 'delete'));
  const deleted = await banger('image', 'rm', 'mine', 'nobody', 'copy');
  assert.deepEqual([deleted.stdout, deleted.exitCode], ['mine\ncopy\n', 3]);
  assert.match(deleted.stderr, /there is no image "nobody"/);
  assert.deepEqual(directoriesOf(daemon), []);
  assert.ok(existsSync(own.rootfs) && existsSync(own.seed));
});

test('files that cannot be an image are refused with the reason, before anything is recorded (8.5, 3.2)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  const own = ownFiles(daemon);
  const good = { name: 'mine', rootfsPath: own.rootfs };
  const cases: [Parameters<typeof api.registerImage>[0], RegExp][] = [
    [{ ...good, rootfsPath: own.nothing }, /contains no ext4 file system/],
    [{ ...good, rootfsPath: own.cut }, /has 2097152 bytes, and the file only 1048576/],
    [{ ...good, rootfsPath: join(own.directory, 'none') }, /ENOENT/],
    [{ ...good, rootfsPath: own.directory }, /not a regular file/],
    [{ ...good, rootfsPath: '/dev/null' }, /not a regular file/],
    [{ ...good, rootfsPath: 'root.ext4' }, /must be a string that begins with "\/"/],
    [{ ...good, workSeedPath: own.nothing }, /work seed .* contains no ext4/],
    [{ ...good, kernelPath: own.kernel }, /go together/],
    [{ ...good, kernelPath: own.nothing, initramfsPath: own.initramfs }, /neither a vmlinux nor a bzImage/],
    [{ ...good, kernelPath: own.kernel, initramfsPath: own.nothing }, /not a cpio archive/],
    [{ ...good, name: 'Mine' }, /upper-case/],
    [{ ...good, servicePorts: [0] }, /from 1 to 65535/],
  ];
  for (const [body, reason] of cases) await assert.rejects(api.registerImage(body), hasCode('INVALID_INPUT', reason), String(reason));
  await assert.rejects(api.registerImage({ ...good, name: 'default' }), hasCode('NAME_TAKEN', /banger image show default/));
  assert.deepEqual(
    (await api.listImages()).map(({ name }) => name),
    ['default'],
  );
  symlinkSync(own.rootfs, join(own.directory, 'link'));
  assert.equal((await api.registerImage({ ...good, rootfsPath: join(own.directory, 'link') })).rootfsBytes, 2 * MIB);
});

test('a promotion that fails or is cancelled anywhere leaves the record unchanged and no file (8.5, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, effects, services } = daemon;
  const { rootfs } = ownFiles(daemon);
  const before = await api.registerImage({ name: 'mine', rootfsPath: rootfs });
  const run = async () => ended(api, await api.promoteImage('mine', {}, false));
  let last = 0;
  for (let n = 1; ; n++) {
    let [count, isCut] = [0, false];
    effects.hook = ({ name }, phase) => {
      if (phase !== 'before' || isCut || !name.startsWith('host.') || ++count !== n) return;
      isCut = true;
      if (n % 2 === 0) services.operations.cancel(services.operations.list()[0]?.id ?? '');
      else throw new BangerError('STORAGE_FAILED', 'made to fail');
    };
    const { state } = await run();
    effects.hook = () => undefined;
    if (state === 'done') break;
    last = n;
    assert.deepEqual(await api.showImage('mine'), before, `effect ${n}`);
    assert.deepEqual(directoriesOf(daemon), [], `effect ${n}`);
  }
  assert.ok(last > 8, `only ${last} effects`);
  assert.equal((await api.showImage('mine')).managed, true);
});

test('a daemon that dies while an image is promoted or deleted leaves it whole or gone (9.5)', async (t) => {
  const first = await daemonFor(t);
  const { world } = first;
  const { rootfs } = ownFiles(first);
  await first.api.registerImage({ name: 'mine', rootfsPath: rootfs });
  await first.stop();
  let daemon = first;
  const dieAt = async (n: number, begin: () => Promise<unknown>): Promise<boolean> => {
    let count = 0;
    daemon.effects.hook = ({ name }, phase) => (phase === 'before' && name.startsWith('host.') && ++count === n ? 'die' : undefined);
    const isDead = await Promise.race([daemon.effects.died.then(() => true), begin().then(() => false)]);
    await daemon.kill();
    daemon = await startDaemon(world);
    return isDead;
  };
  daemon = await startDaemon(world);
  t.after(() => daemon.stop());
  const isWhole = async (name: string): Promise<boolean> => {
    const image = (await daemon.api.listImages()).find((one) => one.name === name);
    const files = directoriesOf(daemon);
    assert.deepEqual(files, image === undefined ? [] : [image.id]);
    if (image !== undefined) assert.ok(existsSync(image.rootfsPath) && existsSync(image.kernelPath));
    return image !== undefined;
  };
  for (let n = 1; await dieAt(n, async () => ended(daemon.api, await daemon.api.promoteImage('mine', { name: 'copy' }, false))); n++) {
    if (await isWhole('copy')) await done(daemon.api, daemon.api.deleteImage('copy'));
  }
  assert.ok(await isWhole('copy'));
  for (let n = 1; await dieAt(n, async () => ended(daemon.api, await daemon.api.deleteImage('copy'))); n++) {
    if (!(await isWhole('copy'))) await done(daemon.api, daemon.api.promoteImage('mine', { name: 'copy' }, false));
  }
  assert.equal(await isWhole('copy'), false);
});

test('if the database is lost, records of managed images are restored from their manifests (8.1)', async (t) => {
  const first = await daemonFor(t);
  const { world, api } = first;
  const { rootfs } = ownFiles(first);
  await api.registerImage({ name: 'mine', rootfsPath: rootfs, servicePorts: [80] });
  await done(api, api.promoteImage('mine', {}, false));
  const before = await api.showImage('mine');
  await first.stop();
  for (const ending of ['', '-wal', '-shm']) rmSync(join(world.directories.stateDirectory, `banger.db${ending}`), { force: true });
  mkdirSync(join(world.directories.stateDirectory, 'images', 'junk'));
  writeFileSync(join(world.directories.stateDirectory, 'images', 'junk', 'image.json'), '{"formatVersion":1,"rootfsPath":"/etc/shadow"}');
  const second = await startDaemon(world);
  t.after(() => second.stop());
  assert.deepEqual(await second.api.showImage('mine'), before);
  assert.deepEqual(
    (await second.api.listImages()).map(({ name }) => name),
    ['default', 'mine'],
  );
});

test('prune removes images of older bundles, with --all every unused image; the default image and used images stay (8.1)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world, services } = daemon;
  const { rootfs } = ownFiles(daemon);
  services.images.records.save({ ...world.image, id: '2'.repeat(32), name: 'default-22222222' });
  services.images.records.save({ ...world.image, id: '3'.repeat(32), name: 'default-33333333' });
  await api.registerImage({ name: 'mine', rootfsPath: rootfs });
  await created(api, 'web', { image: 'default-33333333', start: false });
  const prune = (...flags: string[]) => runInProcess({ ...world.env }, ['image', 'prune', ...flags]);
  assert.deepEqual((await prune()).stdout, 'default-22222222\n');
  assert.deepEqual((await prune('--all', '-f')).stdout, 'mine\n');
  assert.deepEqual(
    (await api.listImages()).map(({ name }) => name),
    ['default', 'default-33333333'],
  );
});

test('an image without a work seed gives an empty work disk, which grows with its file system (5.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  const { rootfs } = ownFiles(daemon);
  await api.registerImage({ name: 'mine', rootfsPath: rootfs });
  const vm = await created(api, 'web', { image: 'mine', workDiskBytes: 1024 * MIB });
  const { workDisk } = daemon.services.vms.pathsOf(vm);
  assert.deepEqual([vm.state, await daemon.world.host.fileSize(workDisk).then(({ bytes }) => bytes)], ['running', 1024 * MIB]);
});

test('two images cannot be made under one name, not even simultaneously (8.1, 3.4)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  const { rootfs } = ownFiles(daemon);
  await api.registerImage({ name: 'mine', rootfsPath: rootfs });
  const both = await Promise.allSettled([1, 2].map(() => api.promoteImage('mine', { name: 'copy' }, false)));
  assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const [begun] = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  assert.equal((await ended(api, begun ?? { id: '' })).state, 'done');
  await assert.rejects(api.promoteImage('mine', { name: 'copy' }, false), hasCode('NAME_TAKEN', /already/));
});

test('a managed image without a fingerprint of its work seed gets one with its first create (8.6)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  const { rootfs, seed } = ownFiles(daemon);
  await api.registerImage({ name: 'mine', rootfsPath: rootfs, workSeedPath: seed });
  await created(api, 'one', { image: 'mine', start: false });
  assert.equal((await api.showImage('mine')).workSeedFingerprint, null, 'the files of a user may change');
  await done(api, api.promoteImage('mine', { name: 'kept' }, false));
  assert.equal((await api.showImage('kept')).workSeedFingerprint, null);
  await created(api, 'two', { image: 'kept', start: false });
  await until(async () => (await api.showImage('kept')).workSeedFingerprint !== null);
  const { workSeedFingerprint, id } = await api.showImage('kept');
  assert.equal(workSeedFingerprint, await daemon.world.host.sha256File(seed));
  const manifest = readFileSync(join(daemon.services.images.pathsOf({ id }).directory, 'image.json'), 'utf8');
  assert.equal((JSON.parse(manifest) as { workSeedFingerprint: string }).workSeedFingerprint, workSeedFingerprint);
});
