import { BangerError } from '../model/errors.ts';
import type { Capability } from './capability.ts';

/** The VM's own ext4 disk, mounted at /root: a clone of the image's work seed (5.3). */
export const workDisk: Capability = {
  name: 'work-disk',
  prepare: {
    name: 'work-disk',
    title: 'work disk',
    async apply({ vm, image, paths, services: { host } }, signal) {
      const seed = image.workSeedPath;
      if (seed === null)
        throw new BangerError('BUNDLE_BROKEN', `the image ${image.name} has no work seed`, { remedy: 'banger bundle build' });
      if (!(await host.reflink(seed, paths.workDisk))) await host.sparseCopy(seed, paths.workDisk, signal);
      // The agent grows the file system to its disk when it mounts it.
      await host.extendSparse(paths.workDisk, vm.spec.workDiskBytes);
    },
    undo: ({ paths, services }) => services.host.removeTree(paths.workDisk),
  },
  machine({ paths }, draft) {
    draft.disks.push({ path: paths.workDisk, format: 'raw', readOnly: false, durable: true });
  },
  guestConfig(_context, draft) {
    draft.mounts.push({ device: '/dev/vdb', path: '/root', type: 'ext4' });
  },
};
