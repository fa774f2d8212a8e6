import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import type { AttachedDisk, StorageDriver } from './contract.ts';

const MIB = 1024 ** 2;

type Options = {
  /** What the end of the host's boot takes away of attached overlays; nothing when left out. */
  reboot?: () => Promise<void>;
  /** Where the overlays are made; the temporary directory when left out. */
  parent?: string;
};

const never = new AbortController().signal;
const overlayIn = (directory: string) => ({ vmId: '5eed0000'.padEnd(32, '0'), path: `${directory}/overlay` });
const request = (directory: string) => ({ ...overlayIn(directory), basePath: `${directory}/base`, sizeBytes: 8 * MIB });

/** Declares a test that gets a driver and a directory with a base in it. */
type WithDirectory = (title: string, body: (driver: StorageDriver, directory: string) => Promise<void>) => void;

/** The storage contract as tests; every driver passes the same ones. */
export function storageConformance(name: string, makeDriver: () => StorageDriver, options: Options = {}): void {
  const withDirectory: WithDirectory = (title, body) => {
    test(`${name}: ${title}`, async () => {
      const directory = await mkdtemp(join(options.parent ?? tmpdir(), 'banger-storage-'));
      try {
        await writeFile(`${directory}/base`, Buffer.alloc(MIB, 'b'));
        await body(makeDriver(), directory);
        assert.deepEqual(await readFile(`${directory}/base`), Buffer.alloc(MIB, 'b'), 'the base was written');
      } finally {
        await makeDriver().root.remove(overlayIn(directory));
        await rm(directory, { recursive: true });
      }
    });
  };
  attaching(withDirectory, makeDriver, options);
  makingAndRemoving(withDirectory);
}

function attaching(withDirectory: WithDirectory, makeDriver: () => StorageDriver, options: Options): void {
  withDirectory('attaches an overlay that this user alone may open, twice as the same disk (5.1)', async (driver, directory) => {
    await driver.root.create(request(directory), never);
    const disk = await driver.root.attach(overlayIn(directory), never);
    assert.deepEqual(await driver.root.attach(overlayIn(directory), never), disk);
    assert.deepEqual(await makeDriver().root.attach(overlayIn(directory), never), disk, 'another daemon got another disk');
    assert.equal((await stat(disk.path)).mode & 0o077, 0, 'others may read the disk');
    assert.equal((await stat(disk.path)).uid, process.getuid?.());
    if (disk.format !== 'qcow2') assert.deepEqual(await firstBytes(disk), Buffer.alloc(16, 'b'));
  });

  withDirectory('keeps what was written over detaching, twice, and over a reboot (5.1, 5.2)', async (driver, directory) => {
    await driver.root.create(request(directory), never);
    const disk = await driver.root.attach(overlayIn(directory), never);
    if (disk.format !== 'qcow2') await writeAt(disk, 'written by the VM', 5 * MIB);
    await driver.root.detach?.(overlayIn(directory));
    await driver.root.detach?.(overlayIn(directory));
    await driver.root.attach(overlayIn(directory), never);
    await options.reboot?.();
    const again = await makeDriver().root.attach(overlayIn(directory), never);
    assert.deepEqual(again, disk);
    if (disk.format !== 'qcow2') assert.equal(await readAt(again, 17, 5 * MIB), 'written by the VM');
  });

  withDirectory('a sweep lets go of what no VM has, keeps what one has, and loses no data (5.2, 9.5)', async (driver, directory) => {
    const overlay = overlayIn(directory);
    await driver.root.create(request(directory), never);
    const disk = await driver.root.attach(overlay, never);
    if (disk.format !== 'qcow2') await writeAt(disk, 'written by the VM', 5 * MIB);
    await driver.sweep?.([overlay]);
    await stat(disk.path);
    await driver.sweep?.([]);
    // What attaching makes is not the file itself.
    if (driver.sweep !== undefined) await assert.rejects(stat(disk.path), { code: 'ENOENT' });
    assert.deepEqual(await driver.root.attach(overlay, never), disk);
    if (disk.format !== 'qcow2') assert.equal(await readAt(disk, 17, 5 * MIB), 'written by the VM');
  });
}

function makingAndRemoving(withDirectory: WithDirectory): void {
  withDirectory('removes an overlay, also an attached one, twice without complaint (5.2)', async (driver, directory) => {
    await driver.root.create(request(directory), never);
    const disk = await driver.root.attach(overlayIn(directory), never);
    await driver.root.remove(overlayIn(directory));
    await driver.root.remove(overlayIn(directory));
    assert.deepEqual(await readdir(directory), ['base']);
    await assert.rejects(stat(disk.path), { code: 'ENOENT' });
  });

  withDirectory('detaches and removes what was never made (5.2)', async (driver, directory) => {
    await driver.root.detach?.(overlayIn(directory));
    await driver.root.remove(overlayIn(directory));
    assert.deepEqual(await readdir(directory), ['base']);
  });

  withDirectory('leaves nothing behind when cancelled (5.4)', async (driver, directory) => {
    await assert.rejects(driver.root.create(request(directory), AbortSignal.abort()));
    assert.deepEqual(await readdir(directory), ['base']);
  });

  withDirectory('leaves nothing behind when the base is missing or the target cannot be written (5.4)', async (driver, directory) => {
    const unwritable = { ...request(directory), path: `${directory}/none/overlay` };
    await assert.rejects(driver.root.create(unwritable, never), (error) => error instanceof BangerError && error.code === 'STORAGE_FAILED');
    assert.deepEqual(await readdir(directory), ['base']);
  });

  withDirectory('grows a disk that is not attached, and never shrinks it (5.3)', async (driver, directory) => {
    await driver.root.create(request(directory), never);
    await driver.root.grow(overlayIn(directory), 16 * MIB);
    await driver.root.grow(overlayIn(directory), 4 * MIB);
    assert.equal(await virtualSize(await driver.root.attach(overlayIn(directory), never)), 16 * MIB);
  });

  withDirectory('has room and says how much is used, where space is given ahead (5.4)', async (driver, directory) => {
    if (driver.root.usage === undefined || driver.root.extend === undefined) {
      assert.equal(driver.root.usage, driver.root.extend, 'one of the two is missing');
      return;
    }
    await driver.root.create(request(directory), never);
    await driver.root.attach(overlayIn(directory), never);
    const usage = await driver.root.usage(overlayIn(directory));
    assert.equal(usage.state, 'ok');
    assert.ok(usage.usedBytes < usage.sizeBytes && usage.sizeBytes <= usage.limitBytes, JSON.stringify(usage));
    await driver.root.extend(overlayIn(directory), 2 * usage.limitBytes);
    assert.equal((await driver.root.usage(overlayIn(directory))).sizeBytes, usage.limitBytes);
  });
}

async function withDisk<T>(
  { path }: AttachedDisk,
  flags: 'r' | 'r+',
  use: (file: Awaited<ReturnType<typeof open>>) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

const firstBytes = (disk: AttachedDisk): Promise<Buffer> =>
  withDisk(disk, 'r', async (file) => (await file.read(Buffer.alloc(16), 0, 16, 0)).buffer);

const readAt = (disk: AttachedDisk, length: number, offset: number): Promise<string> =>
  withDisk(disk, 'r', async (file) => (await file.read(Buffer.alloc(length), 0, length, offset)).buffer.toString('latin1'));

const writeAt = (disk: AttachedDisk, text: string, offset: number): Promise<void> =>
  withDisk(disk, 'r+', async (file) => {
    await file.write(Buffer.from(text, 'latin1'), 0, text.length, offset);
    await file.sync();
  });

async function virtualSize(disk: AttachedDisk): Promise<number> {
  // Bytes 24..31 of the qcow2 header.
  if (disk.format === 'qcow2') return Number((await readFile(disk.path)).readBigUInt64BE(24));
  // A device has no size to stat, so its end is looked for.
  return withDisk(disk, 'r', async (file) => {
    let [low, high] = [0, 2 ** 30];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, middle);
      if (bytesRead === 1) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}
