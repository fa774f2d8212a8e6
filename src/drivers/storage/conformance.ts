import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import type { StorageDriver } from './contract.ts';

const MIB = 1024 ** 2;

/** The storage contract as tests; every driver passes the same ones. */
export function storageConformance(name: string, makeDriver: () => StorageDriver): void {
  const withDirectory = (title: string, body: (driver: StorageDriver, directory: string) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const directory = await mkdtemp(join(tmpdir(), 'banger-storage-'));
      try {
        await writeFile(`${directory}/base`, Buffer.alloc(MIB, 'b'));
        await body(makeDriver(), directory);
        assert.deepEqual(await readFile(`${directory}/base`), Buffer.alloc(MIB, 'b'), 'the base was written');
      } finally {
        await rm(directory, { recursive: true });
      }
    });
  };
  const request = (directory: string) => ({ basePath: `${directory}/base`, overlayPath: `${directory}/overlay`, sizeBytes: 8 * MIB });
  const never = new AbortController().signal;

  withDirectory('creates an overlay that opens as the same disk (5.1)', async (driver, directory) => {
    const disk = await driver.create(request(directory), never);
    assert.deepEqual(driver.open(disk.path), disk);
    assert.equal((await stat(disk.path)).mode & 0o077, 0, 'others may read the disk');
  });

  withDirectory('removes an overlay, twice without complaint (5.2)', async (driver, directory) => {
    const disk = await driver.create(request(directory), never);
    await driver.remove(disk.path);
    await driver.remove(disk.path);
    assert.deepEqual(await readdir(directory), ['base']);
  });

  withDirectory('leaves nothing behind when cancelled (5.4)', async (driver, directory) => {
    await assert.rejects(driver.create(request(directory), AbortSignal.abort()));
    assert.deepEqual(await readdir(directory), ['base']);
  });

  withDirectory('leaves nothing behind when the base is missing or the target cannot be written (5.4)', async (driver, directory) => {
    const unwritable = { ...request(directory), overlayPath: `${directory}/none/overlay` };
    await assert.rejects(driver.create(unwritable, never), (error) => error instanceof BangerError && error.code === 'STORAGE_FAILED');
    assert.deepEqual(await readdir(directory), ['base']);
  });

  withDirectory('grows a disk and never shrinks it (5.3)', async (driver, directory) => {
    const disk = await driver.create(request(directory), never);
    await driver.grow(disk.path, 16 * MIB);
    await driver.grow(disk.path, 4 * MIB);
    assert.equal(await virtualSize(disk.path, disk.format), 16 * MIB);
  });
}

async function virtualSize(path: string, format: 'raw' | 'qcow2'): Promise<number> {
  if (format === 'raw') return (await stat(path)).size;
  // Bytes 24..31 of the qcow2 header.
  return Number((await readFile(path)).readBigUInt64BE(24));
}
