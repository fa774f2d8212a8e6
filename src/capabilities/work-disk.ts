import type { Disk } from '../drivers/storage/contract.ts';
import { EXT4_HEAD_BYTES, ext4State } from '../lib/ext4.ts';
import { cloneSource } from '../context/clone-source.ts';
import type { Step } from '../context/pipeline.ts';
import type { VmContext } from '../context/vm-context.ts';
import { BangerError } from '../model/errors.ts';
import type { Vm } from '../model/vm.ts';
import type { Capability, Change } from '../context/capability.ts';

/** The VM's own ext4 disk, mounted at /root: a clone of the image's work seed, or an empty disk if the image has none. */
export const workDisk: Capability = {
  name: 'work-disk',
  traits: { ofOwnSystem: true },
  prepare: {
    name: 'work-disk',
    title: 'work disk',
    apply: (context, signal) => {
      const { vm, image, drivers, services } = context;
      const [disk, source, disks] = [workDiskOf(context), cloneSource.find(context), drivers.storage.work];
      if (source !== undefined) return disks.clone(workDiskOf({ vm: source, paths: services.vms.pathsOf(source) }), disk, signal);
      return disks.create({ ...disk, seedPath: image.workSeedPath, sizeBytes: vm.spec.workDiskBytes }, signal);
    },
    undo: (context) => context.recorded.storage?.work.remove(workDiskOf(context)),
  },
  async prepareFork(context, source, signal) {
    const disks = context.drivers.storage.work;
    const sizeBytes = await disks.sizeBytes(workDiskOf(source));
    await disks.createBlank?.({ ...workDiskOf(context), seedPath: null, sizeBytes }, signal);
  },
  machine({ paths, drivers }, draft) {
    draft.disks.push({ path: paths.workDisk, format: drivers.storage.work.format, readOnly: false, durable: true });
  },
  guestConfig(_context, draft) {
    draft.mounts.push({ device: '/dev/vdb', path: '/root', type: 'ext4' });
  },
  change: {
    takesSpace: isGrown,
    make: (change) => (isGrown(change) ? [grow(change.to.spec.workDiskBytes)] : []),
  },
  async doctor(context) {
    const { vm, recorded } = context;
    const disk = workDiskOf(context);
    const base = { name: 'work-disk', vm: vm.name, code: 'STORAGE_FAILED' } as const;
    const disks = recorded.storage?.work;
    if (disks === undefined || (await disks.allocatedBytes(disk)) === undefined) {
      const remedy = 'put it back from a backup, or delete the VM';
      return [{ ...base, level: 'fail', reason: `the work disk of ${vm.name} is missing (${disk.path})`, remedy }];
    }
    const bytes = await disks.sizeBytes(disk);
    if (bytes < vm.spec.workDiskBytes) {
      const reason = `the work disk of ${vm.name} has ${bytes} bytes, and ${vm.spec.workDiskBytes} are recorded`;
      const fix = { did: `made ${disk.path} as long as recorded`, apply: () => disks.grow(disk, vm.spec.workDiskBytes) };
      const isAtRest = vm.runtime?.process === undefined;
      return [{ ...base, level: 'warn', reason, remedy: 'banger doctor --fix', ...(isAtRest ? { fix } : {}) }];
    }
    if (ext4State(await disks.readHead(disk, EXT4_HEAD_BYTES)) !== 'errors') return [];
    const reason = `the file system of the work disk of ${vm.name} has errors`;
    return [{ ...base, level: 'warn', reason, remedy: `banger vm stop ${vm.name} && e2fsck -f ${disk.path}` }];
  },
};

/** @returns the VM's work disk in the form of the storage contract */
function workDiskOf({ vm, paths }: Pick<VmContext, 'vm' | 'paths'>): Disk {
  return { vmId: vm.id, path: paths.workDisk };
}

function isGrown({ from, to }: Change): boolean {
  return to.spec.workDiskBytes > from.spec.workDiskBytes;
}

/** The guest agent grows the file system to the disk's size when it mounts it. */
function grow(toBytes: number): Step<VmContext> {
  // The real length, which may differ from the recorded one after a crash. Only this growth undoes it.
  let foundBytes: number | undefined;
  return {
    name: 'work-disk',
    title: 'work disk',
    async apply(context) {
      const disks = context.drivers.storage.work;
      const disk = workDiskOf(context);
      const state = ext4State(await disks.readHead(disk, EXT4_HEAD_BYTES));
      if (state !== 'good') throw unsound(context.vm, disk.path, state);
      foundBytes = await disks.sizeBytes(disk);
      await disks.grow(disk, toBytes);
    },
    async undo(context) {
      // No guest has seen the new end, so no data is behind the old one.
      if (foundBytes !== undefined) await context.drivers.storage.work.ungrow(workDiskOf(context), foundBytes);
    },
  };
}

function unsound(vm: Vm, path: string, state: 'errors' | 'none'): BangerError {
  const found = state === 'none' ? 'holds no ext4 file system' : 'has errors in its file system, and growing it could destroy more data';
  return new BangerError('STORAGE_FAILED', `the work disk of ${vm.name} ${found}`, {
    remedy: state === 'none' ? 'grow the file systems that you made on it yourself' : `e2fsck -f ${path}`,
    details: { path, state },
  });
}
