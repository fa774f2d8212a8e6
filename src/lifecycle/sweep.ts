import type { MachineSpec } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { shortId } from '../model/vm.ts';
import { directoriesWithoutRecord } from './restore.ts';
import type { LifecycleServices } from './services.ts';
import { makeContext } from './vm-context.ts';

/**
 * Removes what belongs to no VM (3.8, 9.5). Everything that banger makes carries the VM's id in its name, so nothing needs to be
 * remembered for this. Disks of a VM that is not known are a user's data: they stay, and doctor tells of them.
 * @returns what was removed, one line each
 */
export async function sweepOrphans(services: LifecycleServices): Promise<string[]> {
  const swept = [...(await sweepMachines(services)), ...(await sweepDirectories(services))];
  await sweepStorages(services);
  await sweepNetworks(services);
  return swept;
}

/** VMMs and sockets of unknown VMs; each has a runtime directory. */
async function sweepMachines(services: LifecycleServices): Promise<string[]> {
  const { host, vms, pathsOf, warn } = services;
  const known = new Set(vms.list().map(shortId));
  const names = await host.namesIn(pathsOf({ id: '' }).runtimeDirectory);
  const orphans = names.filter((name) => /^[0-9a-f]{8}$/.test(name) && !known.has(name));
  const swept: string[] = [];
  for (const id of orphans) {
    try {
      swept.push(...(await endMachine(services, orphanSpec(services, id))));
    } catch (error) {
      warn('what is left of an unknown VM could not be removed', { shortId: id, reason: textOf(error) });
    }
  }
  return swept;
}

async function endMachine({ host, drivers }: LifecycleServices, spec: MachineSpec): Promise<string[]> {
  const swept: string[] = [];
  for (const hypervisor of drivers.hypervisors()) {
    try {
      const process = await hypervisor.find(spec);
      if (process !== undefined && (await host.endProcess(process, 0))) swept.push(`process ${process.pid} of ${hypervisor.name}`);
      await hypervisor.cleanUp(spec);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  await host.removeTree(spec.runtimeDirectory);
  return [...swept, spec.runtimeDirectory];
}

/** As much of a machine as finding it takes. */
function orphanSpec({ pathsOf }: LifecycleServices, vmId: string): MachineSpec {
  const { runtimeDirectory, serialLog, vmmLog } = pathsOf({ id: vmId });
  return {
    ...{ vmId, vmName: vmId, vcpuCount: 1, memoryMib: 1, kernelPath: '', initramfsPath: '', kernelArguments: [], disks: [] },
    ...{ network: { kind: 'none' }, runtimeDirectory, serialLogPath: serialLog, vmmLogPath: vmmLog, commandPrefix: [] },
  };
}

async function sweepDirectories(services: LifecycleServices): Promise<string[]> {
  const swept: string[] = [];
  for (const id of await directoriesWithoutRecord(services)) {
    const { directory, rootOverlay, workDisk } = services.pathsOf({ id });
    const hasDisk = (await services.host.exists(workDisk)) || (await services.host.exists(rootOverlay));
    if (hasDisk) services.warn('disks of an unknown VM are kept', { directory });
    else {
      await services.host.removeTree(directory);
      swept.push(directory);
    }
  }
  return swept;
}

async function sweepStorages({ drivers, vms, warn }: LifecycleServices): Promise<void> {
  const alive = vms.list().map(({ id }) => ({ vmId: id }));
  for (const storage of drivers.storages()) {
    await storage.sweep?.(alive).catch((error: unknown) => {
      if (!isAbsent(error)) warn('a storage could not be swept', { storage: storage.name, reason: textOf(error) });
    });
  }
}

/** Each network keeps what belongs to running VMs that it joined. */
async function sweepNetworks(services: LifecycleServices): Promise<void> {
  const alive = services.vms
    .list()
    .filter((vm) => services.machines.find(vm.id) !== undefined)
    .map((vm) => makeContext(services, vm));
  for (const network of services.drivers.networks()) {
    const joined = alive.filter((context) => context.drivers.network.name === network.name).map((context) => context.network);
    await network.sweep(joined).catch((error: unknown) => {
      if (isAbsent(error) && joined.length === 0) return;
      services.warn('a network could not be swept', { network: network.name, reason: textOf(error) });
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
