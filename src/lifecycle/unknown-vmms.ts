// VMMs that run without a record. Only the VM's id in their arguments is known.
import type { MachineSpec } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { type ProcessIdentity, shortId } from '../model/vm.ts';
import type { LifecycleServices } from '../context/services.ts';

/**
 * A VMM that this installation does not know: its database is lost, or it belongs to another installation with the same runtime directory.
 */
export type UnknownVmm = ProcessIdentity & { shortId: string; hypervisor: string };

/** @returns those that run. Only the user can know their content. */
export async function unknownVmms(services: LifecycleServices): Promise<UnknownVmm[]> {
  const found: UnknownVmm[] = [];
  for (const id of await unknownIds(services)) {
    for (const { process, hypervisor } of await findMachines(services, id)) found.push({ ...process, shortId: id, hypervisor });
  }
  return found;
}

/** @param vmId or its beginning @returns the VMMs with this id in their arguments, by driver, whatever is recorded */
export async function findMachines(services: LifecycleServices, vmId: string): Promise<{ process: ProcessIdentity; hypervisor: string }[]> {
  const found: { process: ProcessIdentity; hypervisor: string }[] = [];
  for (const hypervisor of services.vms.drivers.hypervisors()) {
    const process = await unlessAbsent(() => hypervisor.find(orphanSpec(services, vmId)));
    if (process !== undefined) found.push({ process, hypervisor: hypervisor.name });
  }
  return found;
}

/** Each running VM has a runtime directory. */
export async function unknownIds({ world: { files }, vms: { records: vms, pathsOf } }: LifecycleServices): Promise<string[]> {
  const known = new Set(vms.listAll().map(shortId));
  const names = await files.namesIn(pathsOf({ id: '' }).runtimeDirectory);
  return names.filter((name) => /^[0-9a-f]{8}$/.test(name) && !known.has(name));
}

/** A driver that is not available on this host has nothing to find or to clean. */
export async function unlessAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return undefined;
  }
}

/** The part of a machine's spec that finding it needs. */
export function orphanSpec({ vms: { pathsOf } }: LifecycleServices, vmId: string): MachineSpec {
  const { runtimeDirectory, serialLog, vmmLog } = pathsOf({ id: vmId });
  return {
    ...{ vmId, vmName: vmId, vcpuCount: 1, memoryMib: 1, kernelPath: '', initramfsPath: '', kernelArguments: [], disks: [] },
    ...{ network: { kind: 'none' }, runtimeDirectory, serialLogPath: serialLog, vmmLogPath: vmmLog, commandPrefix: [] },
  };
}

/** A driver that is not available on this host has nothing to sweep. */
export function isAbsent(error: unknown): boolean {
  return error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
}
