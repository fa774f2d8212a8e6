// Disks as copies, which must be attached like those of a driver that makes devices.
import { createCopyStorage } from '../../../src/drivers/storage/copy/driver.ts';
import type { DiskUsage, RootDisks, StorageDriver } from '../../../src/drivers/storage/contract.ts';
import type { Host } from '../../../src/host/host.ts';
import { BangerError } from '../../../src/model/errors.ts';

export type FakeStorageWorld = {
  /** Attached root disks by VM, with the space that they have. */
  attached: Map<string, DiskUsage>;
  /** Free bytes of the file system. */
  freeBytes: number;
};

const MIB = 1024 ** 2;

export function fakeStorageWorld(): FakeStorageWorld {
  return { attached: new Map(), freeBytes: 2 ** 40 };
}

/** @param options.metered with `usage` and `extend`, like a driver that must be given space ahead */
export function createFakeStorage(options: { host: Host; world: FakeStorageWorld; metered?: boolean }): StorageDriver {
  const { attached } = options.world;
  const copy = createCopyStorage(options);
  const root: RootDisks = {
    ...copy.root,
    async attach(disk, signal) {
      const found = await copy.root.attach(disk, signal);
      if (!attached.has(disk.vmId)) {
        attached.set(disk.vmId, { usedBytes: 0, sizeBytes: 256 * MIB, limitBytes: 1024 * MIB, state: 'ok' });
      }
      return found;
    },
    detach: ({ vmId }) => Promise.resolve(void attached.delete(vmId)),
    async remove(disk) {
      attached.delete(disk.vmId);
      await copy.root.remove(disk);
    },
  };
  return { ...copy, root: options.metered === true ? { ...root, ...metersOf(options.world) } : root };
}

function metersOf(world: FakeStorageWorld): Required<Pick<RootDisks, 'usage' | 'extend'>> {
  const usageOf = (vmId: string): DiskUsage => {
    const usage = world.attached.get(vmId);
    if (usage === undefined) throw new BangerError('STORAGE_FAILED', 'the disk is not attached');
    return usage;
  };
  return {
    usage: ({ vmId }) => Promise.resolve().then(() => usageOf(vmId)),
    async extend({ vmId }, sizeBytes) {
      const usage = usageOf(vmId);
      const more = Math.min(sizeBytes, usage.limitBytes) - usage.sizeBytes;
      if (more > world.freeBytes) throw new BangerError('NO_SPACE', 'the disk is full');
      world.freeBytes -= Math.max(0, more);
      world.attached.set(vmId, { ...usage, sizeBytes: usage.sizeBytes + Math.max(0, more) });
    },
  };
}
