import { EXT4_HEAD_BYTES, ext4State } from '../lib/ext4.ts';
import type { Step } from '../context/pipeline.ts';
import type { VmContext } from '../context/vm-context.ts';
import { BangerError } from '../model/errors.ts';
import type { Vm } from '../model/vm.ts';
import type { Capability, Change } from '../context/capability.ts';

/** A work disk that is made empty has this size until the agent grows it, which costs nothing. */
const EMPTY_DISK_BYTES = 512 * 1024 ** 2;

/** The VM's own ext4 disk, mounted at /root: a clone of the image's work seed, or an empty one where there is none. */
export const workDisk: Capability = {
  name: 'work-disk',
  traits: { ofOwnSystem: true },
  prepare: {
    name: 'work-disk',
    title: 'work disk',
    async apply(
      {
        vm,
        image,
        paths,
        services: {
          world: { files, disks },
        },
      },
      signal,
    ) {
      const seed = image.workSeedPath;
      if (seed === null) {
        await files.writeFileAtomic(paths.workDisk, '');
        await disks.setLength(paths.workDisk, Math.min(vm.spec.workDiskBytes, EMPTY_DISK_BYTES));
        await disks.makeExt4(paths.workDisk, 'banger-work', signal);
      } else if (!(await disks.reflink(seed, paths.workDisk))) await disks.sparseCopy(seed, paths.workDisk, signal);
      // The agent grows the file system to its disk when it mounts it.
      await disks.extendSparse(paths.workDisk, vm.spec.workDiskBytes);
    },
    undo: ({ paths, services }) => services.world.files.removeTree(paths.workDisk),
  },
  machine({ paths }, draft) {
    draft.disks.push({ path: paths.workDisk, format: 'raw', readOnly: false, durable: true });
  },
  guestConfig(_context, draft) {
    draft.mounts.push({ device: '/dev/vdb', path: '/root', type: 'ext4' });
  },
  change: {
    takesSpace: isGrown,
    make: (change) => (isGrown(change) ? [grow(change.to.spec.workDiskBytes)] : []),
  },
  async doctor({
    vm,
    paths,
    services: {
      world: { files, disks },
    },
  }) {
    const path = paths.workDisk;
    const base = { name: 'work-disk', vm: vm.name, code: 'STORAGE_FAILED' } as const;
    if (!(await files.exists(path))) {
      const remedy = 'put it back from a backup, or delete the VM';
      return [{ ...base, level: 'fail', reason: `the work disk of ${vm.name} is gone (${path})`, remedy }];
    }
    const { bytes } = await files.fileSize(path);
    if (bytes < vm.spec.workDiskBytes) {
      const reason = `the work disk of ${vm.name} has ${bytes} bytes, and ${vm.spec.workDiskBytes} are recorded`;
      const fix = { did: `made ${path} as long as recorded`, apply: () => disks.extendSparse(path, vm.spec.workDiskBytes) };
      const isAtRest = vm.runtime?.process === undefined;
      return [{ ...base, level: 'warn', reason, remedy: 'banger doctor --fix', ...(isAtRest ? { fix } : {}) }];
    }
    if (ext4State(await files.readHead(path, EXT4_HEAD_BYTES)) !== 'errors') return [];
    const reason = `the file system of the work disk of ${vm.name} has errors`;
    return [{ ...base, level: 'warn', reason, remedy: `banger vm stop ${vm.name} && e2fsck -f ${path}` }];
  },
};

function isGrown({ from, to }: Change): boolean {
  return to.spec.workDiskBytes > from.spec.workDiskBytes;
}

/** The agent grows the file system to its disk when it mounts it, as after the VM's creation. */
function grow(toBytes: number): Step<VmContext> {
  // The length that was found, which after a crash need not be the recorded one. Nobody but this growth undoes it.
  let foundBytes: number | undefined;
  return {
    name: 'work-disk',
    title: 'work disk',
    async apply({ services, paths, vm }) {
      const state = ext4State(await services.world.files.readHead(paths.workDisk, EXT4_HEAD_BYTES));
      if (state !== 'good') throw unsound(vm, paths.workDisk, state);
      foundBytes = (await services.world.files.fileSize(paths.workDisk)).bytes;
      await services.world.disks.extendSparse(paths.workDisk, toBytes);
    },
    async undo({ services, paths }) {
      // No guest has seen the new end, so nothing is behind the old one.
      if (foundBytes !== undefined) await services.world.disks.setLength(paths.workDisk, foundBytes);
    },
  };
}

function unsound(vm: Vm, path: string, state: 'errors' | 'none'): BangerError {
  const found = state === 'none' ? 'holds no ext4 file system' : 'has errors in its file system, and growing it could destroy more';
  return new BangerError('STORAGE_FAILED', `the work disk of ${vm.name} ${found}`, {
    remedy: state === 'none' ? 'grow what you have made of it yourself' : `e2fsck -f ${path}`,
    details: { path, state },
  });
}
