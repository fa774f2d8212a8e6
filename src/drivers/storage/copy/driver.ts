import type { Host } from '../../../host/host.ts';
import type { StorageDriver } from '../contract.ts';
import { storageError } from '../storage-error.ts';

/** Overlays as sparse copies: works anywhere, costs time and space in proportion to what the image holds. */
export function createCopyStorage(options: { host: Host }): StorageDriver {
  const { host } = options;
  return {
    name: 'copy',
    format: 'raw',
    checks: () => Promise.resolve({ findings: [{ name: 'storage.copy', level: 'pass', reason: 'sparse copies work everywhere' }] }),
    async create({ basePath, overlayPath, sizeBytes }, signal) {
      try {
        await host.sparseCopy(basePath, overlayPath, signal);
        await host.extendSparse(overlayPath, sizeBytes);
      } catch (error) {
        await host.removeTree(overlayPath);
        signal.throwIfAborted();
        throw storageError(`cannot copy ${basePath}`, error);
      }
    },
    attach: ({ overlayPath }) => Promise.resolve({ path: overlayPath, format: 'raw' }),
    grow: ({ overlayPath }, sizeBytes) => host.extendSparse(overlayPath, sizeBytes),
    remove: ({ overlayPath }) => host.removeTree(overlayPath),
  };
}
