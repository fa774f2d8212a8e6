import type { Capability } from './capability.ts';

/** A work disk that is made empty has this size until the agent grows it, which costs nothing. */
const EMPTY_DISK_BYTES = 512 * 1024 ** 2;

/** The VM's own ext4 disk, mounted at /root: a clone of the image's work seed, or an empty one where there is none (5.3). */
export const workDisk: Capability = {
  name: 'work-disk',
  prepare: {
    name: 'work-disk',
    title: 'work disk',
    async apply({ vm, image, paths, services: { host } }, signal) {
      const seed = image.workSeedPath;
      if (seed === null) {
        await host.writeFileAtomic(paths.workDisk, '');
        await host.setLength(paths.workDisk, Math.min(vm.spec.workDiskBytes, EMPTY_DISK_BYTES));
        await host.makeExt4(paths.workDisk, 'banger-work', signal);
      } else if (!(await host.reflink(seed, paths.workDisk))) await host.sparseCopy(seed, paths.workDisk, signal);
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
