import { writeFile } from 'node:fs/promises';
import type { Host } from '../../../host/host.ts';
import type { StorageDriver } from '../contract.ts';
import { storageError } from '../storage-error.ts';

/** Overlays as copy-on-write clones of the whole file: native speed, on btrfs and XFS. */
export function createReflinkStorage(options: { host: Host }): StorageDriver {
  const { host } = options;
  return {
    name: 'reflink',
    format: 'raw',
    async check(directory) {
      const works = await canReflink(host, directory);
      if (works) return { name: 'storage.reflink', level: 'pass', reason: `the file system of ${directory} clones files` };
      return {
        name: 'storage.reflink',
        level: 'fail',
        reason: `the file system of ${directory} cannot clone files`,
        remedy: 'put the state directory on btrfs or XFS (BANGER_STATE_DIR); without it qcow2 is used',
      };
    },
    async create({ basePath, overlayPath, sizeBytes }, signal) {
      signal.throwIfAborted();
      try {
        // A clone cannot leave its file system; an image on another one is copied, which any VMM can work with as well.
        if (!(await host.reflink(basePath, overlayPath))) await host.sparseCopy(basePath, overlayPath, signal);
        await host.extendSparse(overlayPath, sizeBytes);
      } catch (error) {
        await host.removeTree(overlayPath);
        signal.throwIfAborted();
        throw storageError(`cannot clone ${basePath}`, error);
      }
    },
    attach: ({ overlayPath }) => Promise.resolve({ path: overlayPath, format: 'raw' }),
    grow: ({ overlayPath }, sizeBytes) => host.extendSparse(overlayPath, sizeBytes),
    remove: ({ overlayPath }) => host.removeTree(overlayPath),
  };
}

async function canReflink(host: Host, directory: string): Promise<boolean> {
  const from = `${directory}/.reflink-probe`;
  const to = `${from}-clone`;
  try {
    await host.makePrivateDirectory(directory);
    await writeFile(from, 'x'.repeat(4096));
    return await host.reflink(from, to);
  } catch {
    // An unwritable directory cannot be cloned in either.
    return false;
  } finally {
    await host.removeTree(from);
    await host.removeTree(to);
  }
}
