import { sweepNetworks } from '../capabilities/sweep-networks.ts';
import { directoriesWithoutRecord } from './restore.ts';
import type { LifecycleServices } from '../context/services.ts';
import { isAtRest } from '../model/vm-state.ts';
import { isAbsent, orphanSpec, type UnknownVmm, unknownIds, unknownVmms, unlessAbsent } from './unknown-vmms.ts';
import { messageOf } from '../lib/message-of.ts';

/**
 * Removes what belongs to no VM. Everything that banger makes has the VM's id in its name, so no record is needed for this. Disks of an
 * unknown VM are a user's data: they stay, and doctor reports them.
 * @returns what was removed, one line each
 */
export async function sweepOrphans(services: LifecycleServices): Promise<string[]> {
  const { swept, alive } = await sweepMachines(services);
  swept.push(...(await sweepDirectories(services)));
  // If a running VM is unknown, its networks and disks look like those of no VM.
  if (alive.length > 0) return swept;
  await sweepStorages(services);
  await sweepNetworks(services);
  return swept;
}

/** Removes the sockets of unknown VMs that have ended. @returns what was removed, and which of them still run */
async function sweepMachines(services: LifecycleServices): Promise<{ swept: string[]; alive: UnknownVmm[] }> {
  const swept: string[] = [];
  const alive = await unknownVmms(services);
  const {
    vms: { drivers },
    world: { files, warn },
  } = services;
  for (const one of alive) warn('a VMM of an unknown VM is left alone', one);
  for (const id of await unknownIds(services)) {
    if (alive.some((one) => one.shortId === id)) continue;
    const spec = orphanSpec(services, id);
    try {
      for (const hypervisor of drivers.hypervisors()) await unlessAbsent(() => hypervisor.cleanUp(spec));
      await files.removeTree(spec.runtimeDirectory);
      swept.push(spec.runtimeDirectory);
    } catch (error) {
      warn('the leftovers of an unknown VM could not be removed', { shortId: id, reason: messageOf(error) });
    }
  }
  return { swept, alive };
}

async function sweepDirectories(services: LifecycleServices): Promise<string[]> {
  const swept: string[] = [];
  for (const id of await directoriesWithoutRecord(services)) {
    const { directory, rootOverlay, workDisk } = services.vms.pathsOf({ id });
    const hasDisk = (await services.world.files.exists(workDisk)) || (await services.world.files.exists(rootOverlay));
    if (hasDisk) services.world.warn('disks of an unknown VM are kept', { directory });
    else {
      await services.world.files.removeTree(directory);
      swept.push(directory);
    }
  }
  return swept;
}

async function sweepStorages({ vms: { drivers, records: vms }, world: { warn } }: LifecycleServices): Promise<void> {
  const alive = vms.listAll().map(({ id }) => ({ vmId: id }));
  for (const storage of drivers.storages()) {
    await storage.sweep?.(alive).catch((error: unknown) => {
      if (!isAbsent(error)) warn('a storage driver could not sweep its disks', { storage: storage.name, reason: messageOf(error) });
    });
  }
}

/** The private network is for VMs: if none runs, nothing of it may outlive the daemon. */
export async function sweepUnlessUsed(services: LifecycleServices): Promise<void> {
  if (services.vms.records.listAll().some((vm) => !isAtRest(vm.state))) return;
  const unknown = await unknownVmms(services).catch(() => undefined);
  if (unknown === undefined || unknown.length > 0) return;
  for (const network of services.vms.drivers.networks()) {
    await network.sweep([]).catch((error: unknown) => {
      if (isAbsent(error)) return;
      services.world.warn('a network could not be removed', { network: network.name, reason: messageOf(error) });
    });
  }
}
