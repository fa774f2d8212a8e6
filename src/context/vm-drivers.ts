import type { DiskFormat, Hypervisor } from '../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../drivers/network/contract.ts';
import type { StorageDriver } from '../drivers/storage/contract.ts';
import type { VmAddresses } from '../model/network.ts';
import type { VmRuntime } from '../model/vm.ts';

/** The drivers of one VM. */
export type VmDrivers = { hypervisor: Hypervisor; storage: StorageDriver; network: NetworkDriver };

/** Those that have made something for a VM, or are about to; nobody else is asked about it. */
export type RecordedDrivers = { readonly [Kind in keyof VmDrivers]: VmDrivers[Kind] | undefined };

/** A VM stays with the drivers that made what it has, whatever new VMs get. */
export type Drivers = {
  /** @returns those that are recorded. One that cannot be had now is there all the same, and refuses with the reason. */
  of(runtime: VmRuntime | null): RecordedDrivers;
  /** @returns where programs on the host reach the VM; of one that no network has joined, where a new one would be reached */
  addressOnHost(runtime: VmRuntime | null, addresses: VmAddresses): string;
  /**
   * Chooses for the next start of a VM, by what works on this host now. A VM that has its disk keeps what made it.
   * @param rootFormat of the disk of a VM that has none yet, when only one will do: then what config names for disks does not count
   * @returns with a note when it therefore runs on another VMM than new ones
   * @throws PREREQUISITE_MISSING when the configuration asks for what does not work here
   */
  choose(runtime: VmRuntime | null, rootFormat?: DiskFormat): Promise<VmDrivers & { note?: string }>;
  /** Looks whether the network that joined a VM, and that could not be had, is there by now. */
  refreshNetworks(runtime: VmRuntime | null): Promise<void>;
  /** Every driver that may have made something of a VM. */
  hypervisors(): readonly Hypervisor[];
  storages(): readonly StorageDriver[];
  networks(): readonly NetworkDriver[];
};
