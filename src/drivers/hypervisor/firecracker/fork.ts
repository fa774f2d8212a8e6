// What a running Firecracker hands over to another one, apart from its memory: its disks. And a mark, so that it goes on whatever happens.
import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { messageOf } from '../../../lib/message-of.ts';
import { BangerError } from '../../../model/errors.ts';
import type { MachineSpec } from '../contract.ts';
import { diskOf } from './launch.ts';
import type { Version } from './machine-config.ts';

const MIB = 1024 ** 2;

/** There while a machine stands still for a fork that does not concern it: whoever finds it so lets it go on. */
export const forkMark = ({ runtimeDirectory }: MachineSpec): string => join(runtimeDirectory, 'fork');

type Wish = {
  from: MachineSpec;
  to: MachineSpec;
  directory: string;
  /** Of the VMM that runs. */
  running: Version | undefined;
  /** Of the one that would start now. */
  present: Version;
};

/**
 * Refuses what cannot become another machine, while nothing is touched yet.
 * @throws UNSUPPORTED, NO_SPACE
 */
export async function assertForkable(host: Host, { from, to, directory, running, present }: Wish): Promise<void> {
  const device = to.disks.find(({ format }) => format === 'device');
  if (device !== undefined) throw new BangerError('UNSUPPORTED', `${device.path} is a device, and Firecracker's forks copy files`);
  if (running?.major !== present.major || running.minor !== present.minor) {
    throw new BangerError('UNSUPPORTED', `${from.vmName} cannot be forked: there is another version of Firecracker since it was started`, {
      remedy: `banger vm restart ${from.vmName}`,
      details: { running, present },
    });
  }
  const [freeBytes, neededBytes] = [await host.freeBytes(directory), to.memoryMib * MIB];
  if (freeBytes >= neededBytes) return;
  throw new BangerError('NO_SPACE', `there is no room for ${to.memoryMib} MiB of memory in ${directory}`, {
    remedy: 'delete VMs, or put BANGER_STATE_DIR on a larger disk',
    details: { freeBytes, neededBytes },
  });
}

/**
 * Copies the disks of a machine that stands still. Firecracker has nothing of them in its own memory.
 * @throws CANCELLED, VMM_FAILED
 */
export async function copyDisks(host: Host, from: MachineSpec, to: MachineSpec, signal: AbortSignal): Promise<void> {
  try {
    for (const [index, { path }] of to.disks.entries()) await copyDisk(host, diskOf(from, index), path, signal);
  } catch (cause) {
    if (signal.aborted) throw new BangerError('CANCELLED', `the fork of ${from.vmName} was cancelled`, { cause });
    throw new BangerError('VMM_FAILED', `the disks of ${from.vmName} could not be copied: ${messageOf(cause)}`, { remedy: 'df -h', cause });
  }
}

/** In place of the blank one. */
async function copyDisk(host: Host, from: string, to: string, signal: AbortSignal): Promise<void> {
  await host.removeTree(to);
  if (!(await host.reflink(from, to))) await host.sparseCopy(from, to, signal);
}
