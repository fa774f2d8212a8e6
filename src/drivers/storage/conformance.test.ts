import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../host/host.ts';
import { firstFailure } from '../../model/finding.ts';
import { storageConformance } from './conformance.ts';
import { createCopyStorage } from './copy/driver.ts';
import { createQcow2Storage } from './qcow2/driver.ts';
import { createReflinkStorage } from './reflink/driver.ts';

storageConformance('qcow2', realHost, (host) => createQcow2Storage({ host }));
storageConformance('copy', realHost, (host) => createCopyStorage({ host }));

// Clones need btrfs or XFS; where the temporary directory has neither, the clone is stood in for by a copy, so that
// everything around it is still held to the contract.
const problem = firstFailure(await createReflinkStorage({ host: realHost, directory: tmpdir() }).checks());
const cloningHost = problem === undefined ? realHost : { ...realHost, reflink: copyInstead };
storageConformance(`reflink${cloningHost === realHost ? '' : ' (clone stood in for by a copy)'}`, cloningHost, (host) =>
  createReflinkStorage({ host, directory: tmpdir() }),
);

async function copyInstead(from: string, to: string): Promise<boolean> {
  await realHost.sparseCopy(from, to);
  return true;
}

test('the overlay written here is a valid qcow2 file for qemu-img, for small and huge disks (5.1)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-qcow2-'));
  try {
    await writeFile(`${directory}/base`, Buffer.alloc(65_536));
    for (const sizeBytes of [64 * 1024 ** 2, 20 * 1024 ** 3, 16 * 1024 ** 4]) {
      const path = `${directory}/overlay-${sizeBytes}`;
      await createQcow2Storage({ host: realHost }).root.create(
        { vmId: '1'.repeat(32), basePath: `${directory}/base`, path, sizeBytes },
        new AbortController().signal,
      );
      await realHost.run(['qemu-img', 'check', '-q', path]);
      const info = JSON.parse((await realHost.run(['qemu-img', 'info', '--output=json', path])).stdout);
      assert.equal(info['virtual-size'], sizeBytes);
      assert.equal(info['backing-filename'], `${directory}/base`);
      assert.equal(info['backing-filename-format'], 'raw');
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('an overlay of a 20 GiB image costs as little as one of a 1 GiB image (5.1)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-qcow2-'));
  try {
    const sizes: number[] = [];
    for (const gib of [1, 20]) {
      const basePath = `${directory}/base-${gib}`;
      await writeFile(basePath, '');
      await realHost.extendSparse(basePath, gib * 1024 ** 3);
      const path = `${basePath}-overlay`;
      await createQcow2Storage({ host: realHost }).root.create(
        { vmId: '1'.repeat(32), basePath, path, sizeBytes: gib * 1024 ** 3 },
        new AbortController().signal,
      );
      sizes.push((await realHost.fileSize(path)).bytes);
    }
    assert.equal(sizes[0], sizes[1]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('reflink: an image on another file system, which cannot be cloned, is copied (5.1)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-reflink-'));
  try {
    await writeFile(`${directory}/base`, 'image');
    const host = { ...realHost, reflink: () => Promise.resolve(false) };
    const overlay = { vmId: 'a'.repeat(32), path: `${directory}/overlay` };
    const request = { ...overlay, basePath: `${directory}/base`, sizeBytes: 8192 };
    await createReflinkStorage({ host, directory }).root.create(request, new AbortController().signal);
    const content = await readFile(`${directory}/overlay`);
    assert.equal(content.length, 8192);
    assert.equal(content.toString('utf8', 0, 5), 'image');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('growing a qcow2 overlay opens no other file that its header names, and no file that is none (5.3, 12.8)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-qcow2-'));
  try {
    const driver = createQcow2Storage({ host: realHost });
    const overlay = { vmId: 'a'.repeat(32), path: `${directory}/overlay` };
    const request = { ...overlay, basePath: `${directory}/nowhere`, sizeBytes: 1024 ** 2 };
    await driver.root.create(request, new AbortController().signal);
    await driver.root.grow(overlay, 2 * 1024 ** 2);
    assert.equal((await readFile(overlay.path)).readBigUInt64BE(24), 2n * 1024n ** 2n);
    await writeFile(overlay.path, 'raw'.repeat(100));
    await assert.rejects(driver.root.grow(overlay, 4 * 1024 ** 2), { code: 'STORAGE_FAILED', message: /no qcow2 overlay/ });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('growing a qcow2 overlay takes a confined program, and says so where there is none (9.2, 12.8)', async () => {
  const lacking = { reason: 'nothing can be confined', remedy: 'mend it' };
  const checksOn = (found: typeof lacking | undefined) =>
    createQcow2Storage({ host: { ...realHost, confinementProblem: () => Promise.resolve(found) } }).root.growChecks?.();
  assert.deepEqual(await checksOn(undefined), []);
  assert.deepEqual(await checksOn(lacking), [{ name: 'confinement', level: 'fail', ...lacking }]);
});

test('a work disk is cloned without a copy where the file system has clones, and copied once where it has none (5.3)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-work-'));
  try {
    await writeFile(`${directory}/seed`, 'seed');
    for (const clones of [true, false]) {
      const calls: string[] = [];
      const host = {
        ...realHost,
        reflink: (from: string, to: string) => (calls.push('reflink'), clones ? copyInstead(from, to) : Promise.resolve(false)),
        sparseCopy: (from: string, to: string) => (calls.push('sparseCopy'), realHost.sparseCopy(from, to)),
        run: () => assert.fail('a program was started'),
        runConfined: () => assert.fail('a program was started'),
      };
      const drivers = [createQcow2Storage({ host }), createCopyStorage({ host }), createReflinkStorage({ host, directory })];
      for (const { name, work } of drivers) {
        const request = { vmId: 'a'.repeat(32), path: `${directory}/${name}-${clones}`, seedPath: `${directory}/seed`, sizeBytes: 8192 };
        await work.create(request, new AbortController().signal);
        assert.deepEqual(calls.splice(0), clones ? ['reflink'] : ['reflink', 'sparseCopy'], name);
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
