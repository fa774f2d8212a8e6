import { writeFile } from 'node:fs/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { StorageDriver } from '../contract.ts';
import { storageError } from '../storage-error.ts';
import { emptyOverlay, HEADER_BYTES, virtualSize } from './header.ts';

/** Overlays as qcow2 files: costs the same for every image size, works on every file system, needs QEMU. */
export function createQcow2Storage(options: { host: Host; qemuImg?: string }): StorageDriver {
  const { host, qemuImg = 'qemu-img' } = options;
  return {
    name: 'qcow2',
    format: 'qcow2',
    checks: async () => ({ findings: [await judge(host, qemuImg)] }),
    async create({ basePath, overlayPath, sizeBytes }, signal) {
      signal.throwIfAborted();
      if (Buffer.byteLength(basePath) > 1023)
        throw new BangerError('STORAGE_FAILED', `the path ${basePath} is too long for a qcow2 overlay`);
      try {
        await writeFile(overlayPath, emptyOverlay(basePath, sizeBytes), { flag: 'wx', mode: 0o600 });
      } catch (error) {
        await host.removeTree(overlayPath);
        throw storageError(`cannot make the overlay ${overlayPath}`, error);
      }
    },
    attach: ({ overlayPath }) => Promise.resolve({ path: overlayPath, format: 'qcow2' }),
    async grow({ overlayPath }, sizeBytes) {
      const present = virtualSize(await host.readHead(overlayPath, HEADER_BYTES));
      if (present === undefined) throw new BangerError('STORAGE_FAILED', `${overlayPath} is no qcow2 overlay`);
      if (sizeBytes <= present) return;
      // A VMM has written the header since, and it names another file to read: neither is opened by what it says.
      const overlay = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: host.confinedPath(0) } };
      const argv = [qemuImg, 'resize', '-q', `json:${JSON.stringify(overlay)}`, String(sizeBytes)];
      await host.runConfined(argv, { files: [overlayPath] }).catch((error: unknown) => {
        throw storageError(`cannot grow the overlay ${overlayPath}`, error);
      });
    },
    remove: ({ overlayPath }) => host.removeTree(overlayPath),
  };
}

async function judge(host: Host, qemuImg: string): Promise<Finding> {
  const name = 'storage.qcow2';
  try {
    await host.run([qemuImg, '--version'], { timeoutMs: 60_000 });
    return { name, level: 'pass', reason: 'qcow2 overlays work on every file system' };
  } catch {
    return { name, level: 'fail', reason: `${qemuImg} does not run`, remedy: 'sudo apt-get install qemu-utils' };
  }
}
