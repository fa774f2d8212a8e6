// Overlays as devices, by the real helper and the real kernel.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHelperClient } from '../../src/daemon/helper-client.ts';
import { storageConformance } from '../../src/drivers/storage/conformance.ts';
import type { StorageDriver } from '../../src/drivers/storage/contract.ts';
import { createDmSnapshotStorage } from '../../src/drivers/storage/dm-snapshot/driver.ts';
import { realHost } from '../../src/host/host.ts';

const MIB = 1024 ** 2;
const FAULTY = join(import.meta.dirname, '../../native/helper/build/banger-helper-faulty');
const RELEASED = join(import.meta.dirname, '../../native/helper/build/banger-helper');
const OVERLAY_STEPS = 8;
const never = new AbortController().signal;
const vmId = 'abcdef01'.padEnd(32, '0');

const directory = mkdtempSync('/var/tmp/bgr-dm-');
const socketPath = join(directory, 'socket');
const settings = join(directory, 'settings');
const run = join(directory, 'run');
writeFileSync(settings, 'allow 1000\n');
// The socket is for users too; what is below belongs to one each.
chmodSync(directory, 0o755);
let helper: ChildProcess | undefined;
let log = '';

await startHelper(FAULTY);
after(async () => {
  await stopHelper();
  rmSync(directory, { recursive: true });
});

async function startHelper(program = FAULTY, fault?: string): Promise<void> {
  await stopHelper();
  rmSync(socketPath, { force: true });
  const env = fault === undefined ? {} : { BANGER_HELPER_FAULT: fault };
  helper = spawn(program, ['serve', socketPath, run, settings], { stdio: ['ignore', 'ignore', 'pipe'], env });
  helper.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  while (!existsSync(socketPath)) {
    assert.equal(helper.exitCode, null, `the helper does not start: ${log}`);
    await sleep(5);
  }
}

async function stopHelper(): Promise<void> {
  if (helper === undefined) return;
  if (helper.exitCode === null && helper.signalCode === null) {
    const ended = new Promise((resolve) => helper?.on('exit', resolve));
    helper.kill('SIGTERM');
    assert.equal(await ended, 0, log);
  }
  helper = undefined;
}

const client = createHelperClient(socketPath, 'STORAGE_FAILED');
const makeDriver = (host = realHost): StorageDriver => createDmSnapshotStorage({ host, helper: client });
const output = async (...argv: string[]): Promise<string> => (await realHost.run(argv)).stdout;

/** Everything on this host that an overlay is made of. */
async function traces(): Promise<unknown> {
  const files = [run, '/dev/banger', directory].flatMap((path) =>
    existsSync(path) ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : [],
  );
  const record = join(run, 'record');
  return {
    loops: await output('losetup', '--all', '--noheadings', '--output', 'NAME,BACK-FILE,AUTOCLEAR'),
    devices: (await output('dmsetup', 'ls')).trim(),
    files: files.filter((name) => !/^(0|1000|users|users\/\d+|run\/users\/\d+|record|run\/record)$/.test(name)).toSorted(),
    record: existsSync(record) ? readFileSync(record, 'utf8') : '',
  };
}

/** What the end of a boot takes away, while the helper is not there to see it. */
async function reboot(): Promise<void> {
  await stopHelper();
  for (const line of (await output('dmsetup', 'ls')).split('\n').toSorted()) {
    const name = line.split('\t')[0] ?? '';
    if (name.startsWith('bgr-')) await output('dmsetup', 'remove', '--retry', name);
  }
  for (const loop of (await output('losetup', '--all', '--noheadings', '--output', 'NAME')).split('\n')) {
    if (loop.trim() !== '') await output('losetup', '--detach', loop.trim());
  }
  for (const path of [run, '/dev/banger']) rmSync(path, { recursive: true, force: true });
  await startHelper();
}

storageConformance('dm-snapshot', realHost, makeDriver, { parent: directory, reboot });
storageConformance('dm-snapshot on XFS', realHost, makeDriver, { parent: '/scratch/xfs', reboot });

/** An overlay that is gone after the test. */
async function createdOverlay(t: TestContext, options: { sizeBytes?: number; parent?: string } = {}) {
  const place = mkdtempSync(join(options.parent ?? directory, 'vm-'));
  const overlay = { vmId, path: join(place, 'overlay') };
  const basePath = join(place, 'base');
  writeFileSync(basePath, Buffer.alloc(MIB, 'b'));
  const driver = makeDriver();
  const remove = async (): Promise<void> => {
    await driver.root.remove(overlay);
    rmSync(place, { recursive: true, force: true });
  };
  t.after(remove);
  await driver.root.create({ ...overlay, basePath, sizeBytes: options.sizeBytes ?? 8 * MIB }, never);
  return { driver, overlay, basePath, place, remove };
}

async function readAt(path: string, length: number, offset: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    return (await file.read(Buffer.alloc(length), 0, length, offset)).buffer.toString('latin1');
  } finally {
    await file.close();
  }
}

/** Writes through to the device. @throws what the device says */
async function fill(path: string, fromMib: number, toMib: number, letter: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    for (let mib = fromMib; mib < toMib; mib += 8) await file.write(Buffer.alloc(8 * MIB, letter), 0, 8 * MIB, mib * MIB);
    await file.sync();
  } finally {
    await file.close();
  }
}

test('beyond the end of the image the disk is zeros, and the image is not written (5.1)', async (t) => {
  const { driver, overlay, basePath } = await createdOverlay(t);
  const { path } = await driver.root.attach(overlay, never);
  assert.equal(await readAt(path, 2, MIB - 1), 'b\0');
  await fill(path, 0, 8, 'x');
  assert.equal(await readAt(path, 3, 0), 'xxx');
  assert.deepEqual(readFileSync(basePath), Buffer.alloc(MIB, 'b'));
});

test('50 times attached and detached leaves the host as it was (5.2)', async (t) => {
  const { driver, overlay } = await createdOverlay(t);
  await driver.root.attach(overlay, never);
  await driver.root.detach?.(overlay);
  const before = await traces();
  for (let n = 0; n < 50; n++) {
    await driver.root.attach(overlay, never);
    await driver.root.detach?.(overlay);
  }
  assert.deepEqual(await traces(), before);
});

for (const ending of ['', ':crash']) {
  test(`whatever step of an attach ${ending === '' ? 'fails' : 'the helper dies in'}, detaching leaves nothing (5.2, 5.4)`, async (t) => {
    const { driver, overlay } = await createdOverlay(t);
    await driver.root.attach(overlay, never);
    await driver.root.detach?.(overlay);
    const before = await traces();
    let failed = 0;
    for (let step = 1; ; step++) {
      await startHelper(FAULTY, `overlay:${step}${ending}`);
      const error = await driver.root.attach(overlay, never).catch((thrown: unknown) => thrown);
      if (!(error instanceof Error)) break;
      failed++;
      if (ending !== '') await startHelper();
      // A failure that is told is undone already.
      else assert.deepEqual(await traces(), before, `step ${step}`);
      if (ending !== '' && step % 2 === 0) await driver.root.attach(overlay, never);
      await driver.root.detach?.(overlay);
      assert.deepEqual(await traces(), before, `step ${step}`);
    }
    assert.equal(failed, OVERLAY_STEPS);
    await startHelper();
    await driver.root.detach?.(overlay);
    assert.deepEqual(await traces(), before);
  });
}

test('a helper that was started anew knows what is attached (5.2)', async (t) => {
  const { driver, overlay } = await createdOverlay(t);
  const disk = await driver.root.attach(overlay, never);
  await startHelper(RELEASED);
  assert.deepEqual(await driver.root.attach(overlay, never), disk);
  assert.equal((await driver.root.usage?.(overlay))?.state, 'ok');
  await driver.root.detach?.(overlay);
  assert.ok(!existsSync(disk.path));
  await startHelper();
});

test('detaching waits for who has the disk open, but not for ever, and can be tried again (5.2)', async (t) => {
  const { driver, overlay } = await createdOverlay(t);
  const { path } = await driver.root.attach(overlay, never);
  const held = await open(path, 'r');
  const begin = performance.now();
  await assert.rejects(async () => driver.root.detach?.(overlay), { code: 'STORAGE_FAILED', details: { errno: 'EBUSY' } });
  assert.ok(performance.now() - begin < 10_000);
  assert.equal(await readAt(path, 1, 0), 'b', 'it was taken apart in part');
  const closing = sleep(500).then(() => held.close());
  await driver.root.detach?.(overlay);
  await closing;
  assert.ok(!existsSync(path));
});

test('a device that somebody else made in the place of a loop or under the name is left alone (5.2)', async (t) => {
  const { driver, overlay, place } = await createdOverlay(t);
  await driver.root.attach(overlay, never);
  const loops = (await output('losetup', '--all', '--noheadings', '--output', 'NAME')).trim().split('\n');
  await stopHelper();
  for (const name of ['bgr-abcdef01', 'bgr-abcdef01-base']) await output('dmsetup', 'remove', '--retry', name);
  for (const loop of loops) await output('losetup', '--detach', loop.trim());
  const strange = join(place, 'strange');
  writeFileSync(strange, Buffer.alloc(MIB));
  for (const loop of loops) await output('losetup', loop.trim(), strange);
  await output('dmsetup', 'create', 'bgr-abcdef01', '--table', '0 8 zero');
  await startHelper();
  await driver.root.detach?.(overlay);
  assert.match(await output('dmsetup', 'ls'), /bgr-abcdef01/);
  assert.equal((await output('losetup', '--all', '--noheadings', '--output', 'BACK-FILE')).trim().split('\n').length, loops.length);
  await output('dmsetup', 'remove', '--retry', 'bgr-abcdef01');
  for (const loop of loops) await output('losetup', '--detach', loop.trim());
});

test('a full overlay keeps what it has, can be extended ahead, and goes on after attaching anew (5.4)', async (t) => {
  const { driver, overlay } = await createdOverlay(t, { sizeBytes: 1024 * MIB });
  const { path } = await driver.root.attach(overlay, never);
  await fill(path, 0, 128, 'a');
  const half = await driver.root.usage?.(overlay);
  assert.ok(half !== undefined && half.usedBytes >= 128 * MIB && half.sizeBytes === 256 * MIB, JSON.stringify(half));
  await driver.root.extend?.(overlay, 320 * MIB);
  await fill(path, 128, 288, 'b');
  assert.deepEqual((await driver.root.usage?.(overlay))?.state, 'ok');
  await assert.rejects(fill(path, 288, 400, 'c'), { code: 'EIO' });
  assert.deepEqual((await driver.root.usage?.(overlay))?.state, 'overflow');
  assert.equal(await readAt(path, 2, 128 * MIB - 1), 'ab', 'what was written cannot be read');
  await driver.root.detach?.(overlay);
  await driver.root.attach(overlay, never);
  const anew = await driver.root.usage?.(overlay);
  assert.ok(anew?.state === 'ok' && anew.sizeBytes - anew.usedBytes >= 128 * MIB, JSON.stringify(anew));
  assert.equal(await readAt(path, 2, 128 * MIB - 1), 'ab');
  await fill(path, 400, 408, 'd');
  assert.equal(await readAt(path, 1, 404 * MIB), 'd');
});

test('a file system without room refuses the overlay, and nothing is left (5.4)', async (t) => {
  const image = join(directory, 'small.img');
  const mount = join(directory, 'small');
  writeFileSync(image, '');
  truncateSync(image, 96 * MIB);
  mkdirSync(mount);
  await output('mkfs.ext4', '-q', image);
  await output('mount', '-o', 'loop', image, mount);
  t.after(async () => {
    await output('umount', mount);
    rmSync(mount, { recursive: true });
    rmSync(image);
  });
  const { driver, overlay, remove } = await createdOverlay(t, { parent: mount, sizeBytes: 512 * MIB });
  const before = await traces();
  await assert.rejects(driver.root.attach(overlay, never), { code: 'NO_SPACE' });
  assert.equal(statSync(overlay.path).blocks, 0, 'a file that cannot have enough keeps what there was');
  assert.deepEqual(await traces(), before);
  await remove();
});

test('an ordinary user has overlays of its own and no other (5.1, 9.4)', async (t) => {
  const { driver, overlay, place } = await createdOverlay(t);
  await driver.root.attach(overlay, never);
  const theirs = mkdtempSync('/var/tmp/bgr-user-');
  t.after(() => rmSync(theirs, { recursive: true }));
  writeFileSync(join(theirs, 'base'), Buffer.alloc(MIB, 'u'));
  for (const path of [theirs, join(theirs, 'base')]) chownSync(path, 1000, 1000);
  const program = join(import.meta.dirname, 'overlay-of-user-inside.ts');
  const argv = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', process.execPath, program, socketPath, theirs, place];
  await realHost.run(argv, { timeoutMs: 60_000 });
  assert.equal((await driver.root.usage?.(overlay))?.state, 'ok', 'root has lost its overlay');
  assert.equal(statSync('/dev/banger/1000').uid, 0, 'a user could put something else in the place of a device');
  assert.deepEqual(readdirSync('/dev/banger/1000'), []);
});
