import { sweepNetworks } from '../capabilities/sweep-networks.ts';
import type { MachineSpec } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { type ProcessIdentity, shortId } from '../model/vm.ts';
import { directoriesWithoutRecord } from './restore.ts';
import type { LifecycleServices } from '../context/services.ts';

/**
 * Removes what belongs to no VM. Everything that banger makes carries the VM's id in its name, so nothing needs to be
 * remembered for this. Disks of a VM that is not known are a user's data: they stay, and doctor tells of them.
 * @returns what was removed, one line each
 */
export async function sweepOrphans(services: LifecycleServices): Promise<string[]> {
  const { swept, alive } = await sweepMachines(services);
  swept.push(...(await sweepDirectories(services)));
  // What a VM that runs has of networks and disks cannot be told from what nobody has, when it is not known.
  if (alive.length > 0) return swept;
  await sweepStorages(services);
  await sweepNetworks(services);
  return swept;
}

/** A VMM of which this installation knows nothing: its database is lost, or it is another's that has the same runtime directory. */
export type UnknownVmm = ProcessIdentity & { shortId: string; hypervisor: string };

/** @returns those that run. Nobody but the user can know what is in them. */
export async function unknownVmms(services: LifecycleServices): Promise<UnknownVmm[]> {
  const found: UnknownVmm[] = [];
  for (const id of await unknownIds(services)) {
    for (const hypervisor of services.vms.drivers.hypervisors()) {
      const process = await unlessAbsent(() => hypervisor.find(orphanSpec(services, id)));
      if (process !== undefined) found.push({ ...process, shortId: id, hypervisor: hypervisor.name });
    }
  }
  return found;
}

/** Each VM that runs has a runtime directory. */
async function unknownIds({ world: { files }, vms: { records: vms, pathsOf } }: LifecycleServices): Promise<string[]> {
  const known = new Set(vms.list().map(shortId));
  const names = await files.namesIn(pathsOf({ id: '' }).runtimeDirectory);
  return names.filter((name) => /^[0-9a-f]{8}$/.test(name) && !known.has(name));
}

/** Sockets of unknown VMs that have ended. @returns also which of them have not */
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
      warn('what is left of an unknown VM could not be removed', { shortId: id, reason: textOf(error) });
    }
  }
  return { swept, alive };
}

/** What cannot be had on this host has nothing to find, nor to clean. */
async function unlessAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return undefined;
  }
}

/** As much of a machine as finding it takes. */
function orphanSpec({ vms: { pathsOf } }: LifecycleServices, vmId: string): MachineSpec {
  const { runtimeDirectory, serialLog, vmmLog } = pathsOf({ id: vmId });
  return {
    ...{ vmId, vmName: vmId, vcpuCount: 1, memoryMib: 1, kernelPath: '', initramfsPath: '', kernelArguments: [], disks: [] },
    ...{ network: { kind: 'none' }, runtimeDirectory, serialLogPath: serialLog, vmmLogPath: vmmLog, commandPrefix: [] },
  };
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
  const alive = vms.list().map(({ id }) => ({ vmId: id }));
  for (const storage of drivers.storages()) {
    await storage.sweep?.(alive).catch((error: unknown) => {
      if (!isAbsent(error)) warn('a storage could not be swept', { storage: storage.name, reason: textOf(error) });
    });
  }
}

/** The private network is for VMs: when none runs, nothing of it outlives the daemon. */
export async function sweepUnlessUsed(services: LifecycleServices): Promise<void> {
  if (services.vms.records.list().some((vm) => vm.state !== 'stopped')) return;
  const unknown = await unknownVmms(services).catch(() => undefined);
  if (unknown === undefined || unknown.length > 0) return;
  for (const network of services.vms.drivers.networks()) {
    await network.sweep([]).catch((error: unknown) => {
      if (isAbsent(error)) return;
      services.world.warn('the network could not be taken down', { network: network.name, reason: textOf(error) });
    });
  }
}

/** What cannot be had on this host has nothing to sweep. */
function isAbsent(error: unknown): boolean {
  return error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
