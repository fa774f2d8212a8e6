import type { DiskFormat, Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import type { Drivers, RecordedDrivers, VmDrivers } from '../../context/vm-drivers.ts';
import { BangerError } from '../../model/errors.ts';
import type { VmAddresses } from '../../model/network.ts';
import { firstFailure, type Finding } from '../../model/finding.ts';
import type { VmRuntime } from '../../model/vm.ts';
import { absentHypervisor, absentNetwork, absentStorage, notHere } from './absent.ts';
import { type Choices, decide, type Survey, type Wishes } from './decide.ts';
import { messageOf } from '../../lib/message-of.ts';

/** The basis of the choice. */
export type ChooserParts = {
  wishes: Wishes;
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  /** They change with the bundle. */
  networks: () => readonly NetworkDriver[];
  /** Networks that need no bundle, for VMs that have joined them. */
  standingNetworks: readonly NetworkDriver[];
  /** Why there is no network. */
  missing: () => BangerError;
};

/**
 * Chooses drivers by what works, and remembers the result. The checks run on demand, never while the daemon starts: testing KVM takes
 * seconds after a boot of the host.
 */
export class Chooser implements Pick<Drivers, 'of' | 'addressOnHost' | 'choose' | 'networks'> {
  readonly #parts: ChooserParts;
  #surveyed: { networks: readonly NetworkDriver[]; survey: Promise<Survey> } | undefined;
  /** The drivers that new VMs got, or would have got, last. */
  #present: Choices | undefined;

  constructor(parts: ChooserParts) {
    this.#parts = parts;
  }

  /**
   * @param options.isFresh runs the checks again; otherwise earlier results count, until a choice fails or the bundle changes
   * @returns the results of the checks, and the choice for a new VM, or why there is none
   */
  async look({ isFresh = false } = {}): Promise<{ survey: Survey; choices: Choices | BangerError }> {
    if (isFresh) this.#surveyed = undefined;
    const survey = await this.#survey();
    try {
      this.#present = this.#decide(survey);
      return { survey, choices: this.#present };
    } catch (error) {
      if (!(error instanceof BangerError)) throw error;
      // What is missing now may be available the next time.
      this.#surveyed = undefined;
      return { survey, choices: error };
    }
  }

  async choose(runtime: VmRuntime | null, rootFormat?: DiskFormat): Promise<VmDrivers & { note?: string }> {
    const made = runtime?.storageDriver;
    const maker = this.#parts.storages.find(({ name }) => name === made);
    // Another driver would misread the disk.
    if (made !== undefined && maker === undefined) throw notHere('storage', made);
    const { survey, choices } = await this.look();
    const disk = maker ?? (rootFormat === undefined ? undefined : firstWith(survey, rootFormat));
    if (disk === undefined) {
      if (choices instanceof BangerError) throw choices;
      return driversOf(choices);
    }
    const own = this.#decide(survey, disk);
    if (!(choices instanceof BangerError) && choices.hypervisor.driver === own.hypervisor.driver) return driversOf(own);
    return { ...driversOf(own), note: `runs on ${own.hypervisor.driver.name}: ${own.hypervisor.reason}` };
  }

  of(runtime: VmRuntime | null): RecordedDrivers {
    const { hypervisors, storages, missing, standingNetworks } = this.#parts;
    const networks = this.networks();
    return {
      hypervisor: recorded(runtime?.hypervisor, hypervisors, absentHypervisor),
      storage: recorded(runtime?.storageDriver, storages, absentStorage),
      network: recorded(runtime?.networkDriver, networks.length === 0 ? standingNetworks : networks, (name) =>
        absentNetwork(name, networks.length === 0 ? missing() : notHere('network', name)),
      ),
    };
  }

  addressOnHost(runtime: VmRuntime | null, addresses: VmAddresses): string {
    const called = (name: string) => this.networks().find((driver) => driver.name === name);
    const network = this.of(runtime).network ?? this.#present?.network.driver ?? called(this.#parts.wishes.network) ?? this.networks()[0];
    return network?.addressOnHost(addresses) ?? addresses.loopbackAddress;
  }

  networks(): readonly NetworkDriver[] {
    return this.#parts.networks();
  }

  /** Settles once no check runs; a daemon that ended before would leave its test programs behind. */
  async settled(): Promise<void> {
    await this.#surveyed?.survey;
  }

  /** All callers share it, so none can cancel it; drivers limit the time of their checks. */
  #survey(): Promise<Survey> {
    const networks = this.networks();
    if (this.#surveyed?.networks !== networks) this.#surveyed = { networks, survey: runChecks({ ...this.#parts, networks }) };
    return this.#surveyed.survey;
  }

  #decide(survey: Survey, disk?: StorageDriver): Choices {
    if (survey.networks.length === 0) throw this.#parts.missing();
    return decide(this.#parts.wishes, survey, disk);
  }
}

function driversOf({ hypervisor, storage, network }: Choices): VmDrivers {
  return { hypervisor: hypervisor.driver, storage: storage.driver, network: network.driver };
}

/** @throws PREREQUISITE_MISSING */
function firstWith({ storages }: Survey, format: DiskFormat): StorageDriver {
  const found = storages.find(({ driver, checks }) => driver.root.format === format && firstFailure(checks) === undefined);
  if (found !== undefined) return found.driver;
  throw new BangerError('PREREQUISITE_MISSING', `no storage driver that works here makes root disks of the format ${format}`, {
    remedy: 'banger doctor',
  });
}

/** @param standIn makes a substitute if the recorded driver is missing */
function recorded<Driver extends { name: string }>(
  name: string | undefined,
  all: readonly Driver[],
  standIn: (name: string) => Driver,
): Driver | undefined {
  return name === undefined ? undefined : (all.find((driver) => driver.name === name) ?? standIn(name));
}

type All = { hypervisors: readonly Hypervisor[]; storages: readonly StorageDriver[]; networks: readonly NetworkDriver[] };

/** Runs the checks of all drivers at the same time. */
async function runChecks(all: All): Promise<Survey> {
  const [hypervisors, storages, networks] = await Promise.all([
    askAll(all.hypervisors, ({ name }, failed) => ({ accelerator: 'tcg' as const, findings: [{ name, ...failed }] })),
    askAll(all.storages, ({ name }, failed) => ({ findings: [{ name: `storage.${name}`, ...failed }] })),
    askAll(all.networks, ({ name }, failed) => ({ findings: [{ name: `network.${name}`, ...failed }] })),
  ]);
  return { hypervisors, storages, networks };
}

/** @param without makes the result of a driver whose checks throw: it counts as not working */
function askAll<Driver, Checks>(
  drivers: readonly (Driver & { checks(): Promise<Checks> })[],
  without: (driver: Driver, failed: Omit<Finding, 'name'>) => Checks,
): Promise<{ driver: Driver; checks: Checks }[]> {
  const ask = async (driver: Driver & { checks(): Promise<Checks> }): Promise<Checks> => {
    try {
      return await driver.checks();
    } catch (error) {
      const reason = `its check failed: ${messageOf(error)}`;
      return without(driver, { level: 'fail', reason, remedy: 'banger daemon logs' });
    }
  };
  return Promise.all(drivers.map(async (driver) => ({ driver, checks: await ask(driver) })));
}
