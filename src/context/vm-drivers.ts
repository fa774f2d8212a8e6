import type { DiskFormat, Hypervisor } from '../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../drivers/network/contract.ts';
import type { StorageDriver } from '../drivers/storage/contract.ts';
import type { VmAddresses } from '../model/network.ts';
import type { VmRuntime } from '../model/vm.ts';

/** The drivers of one VM. */
export type VmDrivers = { hypervisor: Hypervisor; storage: StorageDriver; network: NetworkDriver };

/** The drivers that have made something for a VM, or are about to. Verbs ask no other driver about it. */
export type RecordedDrivers = { readonly [Kind in keyof VmDrivers]: VmDrivers[Kind] | undefined };

/** A VM stays with the drivers that made its parts, whatever new VMs get. */
export type Drivers = {
  /** @returns the recorded drivers. In place of a driver that is not available now stands one that fails with the reason. */
  of(runtime: VmRuntime | null): RecordedDrivers;
  /** @returns where programs on the host reach the VM; without a network, the address that a new one would give it */
  addressOnHost(runtime: VmRuntime | null, addresses: VmAddresses): string;
  /**
   * Chooses drivers for the next start of a VM, by what works on this host now. A VM that has a disk keeps its storage driver.
   * @param rootFormat the disk format that a VM without a disk needs, if only one will do; the configured storage driver is then ignored
   * @returns the drivers, with a note if the VM therefore runs on another VMM than new VMs
   * @throws PREREQUISITE_MISSING if the configuration names a driver that does not work here
   */
  choose(runtime: VmRuntime | null, rootFormat?: DiskFormat): Promise<VmDrivers & { note?: string }>;
  /** Checks whether a VM's network that was not available is available now. */
  refreshNetworks(runtime: VmRuntime | null): Promise<void>;
  /** Every driver that may have made parts of a VM. */
  hypervisors(): readonly Hypervisor[];
  storages(): readonly StorageDriver[];
  networks(): readonly NetworkDriver[];
};
