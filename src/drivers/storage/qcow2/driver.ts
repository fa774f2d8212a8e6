import { writeFile } from 'node:fs/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { StorageDriver } from '../contract.ts';
import { storageError } from '../storage-error.ts';
import { emptyOverlay } from './header.ts';

/** Overlays as qcow2 files: costs the same for every image size, works on every file system, needs QEMU. */
export function createQcow2Storage(options: { host: Host; qemuImg?: string }): StorageDriver {
  const { host, qemuImg = 'qemu-img' } = options;
  return {
    name: 'qcow2',
    format: 'qcow2',
    async check() {
      try {
        await host.run([qemuImg, '--version'], { timeoutMs: 60_000 });
        return { name: 'storage.qcow2', level: 'pass', reason: 'qcow2 overlays work on every file system' };
      } catch {
        return {
          name: 'storage.qcow2',
          level: 'fail',
          reason: `${qemuImg} does not run`,
          remedy: 'sudo apt-get install qemu-utils',
        };
      }
    },
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
      const info = await host.run([qemuImg, 'info', '-U', '--output=json', overlayPath]);
      const present = (JSON.parse(info.stdout) as { 'virtual-size': number })['virtual-size'];
      if (sizeBytes > present) await host.run([qemuImg, 'resize', '-q', '-f', 'qcow2', overlayPath, String(sizeBytes)]);
    },
    remove: ({ overlayPath }) => host.removeTree(overlayPath),
  };
}
