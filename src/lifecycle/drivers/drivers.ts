import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import type { Drivers } from '../../context/vm-drivers.ts';
import type { Chooser } from './chooser.ts';

type Parts = {
  chooser: Chooser;
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  /** Networks come and go with the bundle. */
  refreshBundle: () => Promise<unknown>;
};

/** @returns the drivers for verbs. If a network is missing, they check for it once more before a verb fails. */
export function createDrivers({ chooser, hypervisors, storages, refreshBundle }: Parts): Drivers {
  // The next use of the network reports why it is missing.
  const lookAgain = (): Promise<unknown> => refreshBundle().catch(() => undefined);
  return {
    of: (runtime) => chooser.of(runtime),
    addressOnHost: (runtime, addresses) => chooser.addressOnHost(runtime, addresses),
    async choose(runtime, rootFormat) {
      if (chooser.networks().length === 0) await lookAgain();
      return chooser.choose(runtime, rootFormat);
    },
    async refreshNetworks(runtime) {
      const isThere = chooser.networks().some(({ name }) => name === runtime?.networkDriver);
      if (!isThere) await lookAgain();
    },
    hypervisors: () => hypervisors,
    storages: () => storages,
    networks: () => chooser.networks(),
  };
}
