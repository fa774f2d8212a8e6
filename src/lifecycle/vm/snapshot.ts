// The memory of a suspended VM. Its directory exists exactly as long as the disks are as the memory knows them: it appears once the guest
// stands still for good, and disappears before any guest may write. So it may be used whenever it exists, whatever the record says.
import type { LiveMachine } from '../../context/machines.ts';
import type { Step } from '../../context/pipeline.ts';
import { stepResult } from '../../context/step-result.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import { STAGING_ENDING } from '../../model/paths.ts';
import type { VmSleep } from '../../model/vm.ts';

/** Where the guest's memory lies while the machine runs, because a snapshot of it is going to be made. */
export const memoryPathOf = stepResult<string>('the file of memory');

/** @returns whether there is saved memory of the VM */
export function hasSnapshot({ services, paths }: VmContext): Promise<boolean> {
  return services.world.files.exists(paths.snapshot);
}

/** @returns whether the guest may stand still because its memory was being written, or has just been read: until that is over a directory is there */
export async function isSnapshotUnderWay(context: VmContext): Promise<boolean> {
  return (await hasSnapshot(context)) || (await context.services.world.files.exists(stagingOf(context)));
}

/** Makes sure, also across power loss, that nothing resumes from the snapshot any more. Idempotent; its files stay. */
export async function withdrawSnapshot(context: VmContext): Promise<void> {
  if (!(await hasSnapshot(context))) return;
  await discardWithdrawn(context);
  await context.services.world.files.publishDirectory(context.paths.snapshot, stagingOf(context));
}

/** Takes a withdrawal back, while the guest still stands still. */
export async function reinstateSnapshot(context: VmContext): Promise<void> {
  const { files } = context.services.world;
  const staging = stagingOf(context);
  if (await files.exists(staging)) await files.publishDirectory(staging, context.paths.snapshot);
}

/** Removes what was withdrawn, and what was never finished. */
export async function discardWithdrawn(context: VmContext): Promise<void> {
  await context.services.world.files.removeTree(stagingOf(context));
}

/** Removes every snapshot for good. Idempotent. */
export async function discardSnapshot(context: VmContext): Promise<void> {
  await withdrawSnapshot(context);
  await discardWithdrawn(context);
}

/** @returns where a snapshot is written, and where one lies that is not to be used any more */
export const stagingOf = ({ paths }: VmContext): string => `${paths.snapshot}${STAGING_ENDING}`;

/** Saves the memory of a running or paused VM, which stands still from then on. The undo lets it run again, unless it was never recorded. */
export const writeSnapshot = (why: VmSleep['why']): Step<VmContext> => ({
  name: 'snapshot',
  title: 'memory',
  async apply(context, signal) {
    const { services, paths, vm } = context;
    const { files } = services.world;
    const live = services.vms.machines.get(vm);
    const staging = stagingOf(context);
    await discardSnapshot(context);
    // Before the record does, it shows the next daemon that the guest may stand still.
    await files.makePrivateDirectory(staging);
    const ports = why === 'idle' ? (vm.sleep?.ports ?? []) : [];
    context.move('suspending', { sleep: { since: services.world.clock.now().toISOString(), why, ports } });
    await snapshotsOf(context, live)(staging, signal);
    // Across power loss memory must not be newer than the disks that it goes with.
    for (const disk of [paths.rootOverlay, paths.workDisk]) await files.sync(disk);
    await files.publishDirectory(staging, paths.snapshot);
  },
  async undo(context) {
    await discardSnapshot(context);
    if (context.vm.state === 'suspending') await context.services.vms.machines.find(context.vm.id)?.machine.resume?.();
  },
});

/** @throws UNSUPPORTED */
export function snapshotsOf({ vm, drivers }: VmContext, { machine }: LiveMachine): NonNullable<LiveMachine['machine']['createSnapshot']> {
  if (machine.createSnapshot !== undefined) return machine.createSnapshot.bind(machine);
  throw new BangerError('UNSUPPORTED', `VM ${vm.name} cannot be suspended: ${drivers.hypervisor.name} has no snapshots`, {
    remedy: `banger vm stop ${vm.name}`,
  });
}

/** @throws NO_SPACE when the disk has no room for all that the guest has touched */
export async function requireRoom({ services, vm, paths }: VmContext, { machine }: LiveMachine): Promise<void> {
  const { files, processes } = services.world;
  const usage = await processes.processUsage(machine.process);
  const neededBytes = Math.min(usage?.residentBytes ?? Infinity, vm.spec.memoryMib * 1024 ** 2) + services.settings.reservedBytes;
  const freeBytes = await files.freeBytes(paths.directory);
  if (freeBytes >= neededBytes) return;
  const sizes = `${formatSize(freeBytes)} are free, and ${formatSize(neededBytes)} are needed with the reserve`;
  throw new BangerError('NO_SPACE', `there is no room for the memory of ${vm.name} in ${paths.directory}: ${sizes}`, {
    remedy: 'delete VMs, or put BANGER_STATE_DIR on a larger disk',
    details: { freeBytes, neededBytes },
  });
}
