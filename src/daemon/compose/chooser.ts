import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import type { Drivers, VmDrivers } from '../../lifecycle/services.ts';
import { BangerError } from '../../model/errors.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { VmRuntime } from '../../model/vm.ts';
import { type Choices, decide, type Survey, type Wishes } from './decide.ts';

/** Chooses drivers by what works, and remembers what that was. */
export type Chooser = Drivers & {
  /**
   * @param isFresh asks the drivers anew; else earlier answers count, until a choice fails or the bundle changes
   * @returns what the checks found, and the choice for a new VM, or why there is none
   */
  look(options?: { isFresh?: boolean }): Promise<{ survey: Survey; choices: Choices | BangerError }>;
};

/** The checks run when somebody needs them, never while the daemon starts: asking KVM takes seconds after a boot of the host. */
export function createChooser(parts: {
  wishes: Wishes;
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  /** Change with the bundle. */
  networks: () => readonly NetworkDriver[];
  /** Why there are none. */
  missing: () => BangerError;
  /** Where disks of VMs go. */
  directory: string;
}): Chooser {
  const { wishes } = parts;
  let surveyed: { networks: readonly NetworkDriver[]; survey: Promise<Survey> } | undefined;
  let present: Choices | undefined;

  /** Shared by all who ask meanwhile, so nobody can cancel it; drivers bound the time of their checks. */
  function survey(): Promise<Survey> {
    const networks = parts.networks();
    if (surveyed?.networks !== networks) surveyed = { networks, survey: runChecks({ ...parts, networks }) };
    return surveyed.survey;
  }

  function choose(found: Survey, disk?: StorageDriver): Choices {
    if (found.networks.length === 0) throw parts.missing();
    return decide(wishes, found, disk);
  }

  /** @returns the driver called so, else the one that new VMs get, else the likeliest: nothing is asked of it that matters */
  function pick<Kind extends keyof Choices>(
    kind: Kind,
    all: readonly VmDrivers[Kind][],
    name: string | undefined,
  ): VmDrivers[Kind] | undefined {
    const chosen = present?.[kind].driver as VmDrivers[Kind] | undefined;
    const called = (wanted: string | undefined) => all.find((driver) => driver.name === wanted);
    return called(name) ?? chosen ?? called(wishes[kind]) ?? all[0];
  }

  const storageOf = (runtime: VmRuntime | null) => parts.storages.find(({ name }) => name === runtime?.storageDriver);

  return {
    async look({ isFresh = false } = {}) {
      if (isFresh) surveyed = undefined;
      const found = await survey();
      try {
        present = choose(found);
        return { survey: found, choices: present };
      } catch (error) {
        if (!(error instanceof BangerError)) throw error;
        // What is missing may be there the next time.
        surveyed = undefined;
        return { survey: found, choices: error };
      }
    },
    async choose(runtime) {
      const { survey: found, choices } = await this.look();
      const disk = storageOf(runtime);
      if (disk === undefined) {
        if (choices instanceof BangerError) throw choices;
        return driversOf(choices);
      }
      const { hypervisor, ...rest } = choose(found, disk);
      const own = driversOf({ hypervisor, ...rest });
      if (!(choices instanceof BangerError) && choices.hypervisor.driver === hypervisor.driver) return own;
      return { ...own, note: `runs on ${hypervisor.driver.name}: ${hypervisor.reason}` };
    },
    of: (runtime) => ({
      hypervisor: required(pick('hypervisor', parts.hypervisors, runtime?.hypervisor)),
      storage: required(pick('storage', parts.storages, runtime?.storageDriver)),
      network: pick('network', parts.networks(), runtime?.networkDriver) ?? standInNetwork(parts.missing()),
    }),
    networks: parts.networks,
  };
}

function driversOf({ hypervisor, storage, network }: Choices): VmDrivers {
  return { hypervisor: hypervisor.driver, storage: storage.driver, network: network.driver };
}

function required<Driver>(driver: Driver | undefined): Driver {
  if (driver === undefined) throw new BangerError('INTERNAL', 'the daemon was put together without drivers');
  return driver;
}

/** Stands in for a network that cannot be had, so that VMs can still be listed, stopped and deleted. */
function standInNetwork(reason: BangerError): NetworkDriver {
  const refuse = (): Promise<never> => Promise.reject(reason);
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    name: 'private',
    kind: 'none',
    addressOnHost: (addresses) => addresses.loopbackAddress,
    checks: () => Promise.resolve([]),
    ensure: refuse,
    attach: refuse,
    detach: nothing,
    setForwards: (_vm, listeners) => (listeners.length === 0 ? Promise.resolve([]) : refuse()),
    sweep: nothing,
  };
}

type Checked = {
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  networks: readonly NetworkDriver[];
  directory: string;
};

/** Asks every driver at the same time. One that cannot even be asked counts as not working. */
async function runChecks(drivers: Checked): Promise<Survey> {
  const failed = (name: string, error: unknown): Verdict => {
    const reason = `its check failed: ${error instanceof Error ? error.message : String(error)}`;
    return { name, level: 'fail', reason, remedy: 'banger daemon logs' };
  };
  const [hypervisors, storages, networks] = await Promise.all([
    Promise.all(
      drivers.hypervisors.map(async (driver) => ({
        driver,
        checks: await driver
          .checks()
          .catch((error: unknown) => ({ usable: false, accelerator: 'tcg' as const, verdicts: [failed(driver.name, error)] })),
      })),
    ),
    Promise.all(
      drivers.storages.map(async (driver) => ({
        driver,
        verdict: await driver.check(drivers.directory).catch((error: unknown) => failed(`storage.${driver.name}`, error)),
      })),
    ),
    Promise.all(
      drivers.networks.map(async (driver) => ({
        driver,
        verdicts: await driver.checks().catch((error: unknown) => [failed(`network.${driver.name}`, error)]),
      })),
    ),
  ]);
  return { hypervisors, storages, networks };
}
