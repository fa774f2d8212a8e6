import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import type { Drivers, VmDrivers } from '../../lifecycle/services.ts';
import { BangerError } from '../../model/errors.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { VmRuntime } from '../../model/vm.ts';
import { type Choices, decide, type Survey, type Wishes } from './decide.ts';

/** What the choice is made from. */
export type ChooserParts = {
  wishes: Wishes;
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  /** Change with the bundle. */
  networks: () => readonly NetworkDriver[];
  /** Why there are none. */
  missing: () => BangerError;
  /** Where disks of VMs go. */
  directory: string;
};

/**
 * Chooses drivers by what works, and remembers what that was. The checks run when somebody needs them, never while the
 * daemon starts: asking KVM takes seconds after a boot of the host.
 */
export class Chooser implements Pick<Drivers, 'of' | 'choose' | 'networks'> {
  readonly #parts: ChooserParts;
  #surveyed: { networks: readonly NetworkDriver[]; survey: Promise<Survey> } | undefined;
  /** What new VMs got or would have got last. */
  #present: Choices | undefined;

  constructor(parts: ChooserParts) {
    this.#parts = parts;
  }

  /**
   * @param options.isFresh asks the drivers anew; else earlier answers count, until a choice fails or the bundle changes
   * @returns what the checks found, and the choice for a new VM, or why there is none
   */
  async look({ isFresh = false } = {}): Promise<{ survey: Survey; choices: Choices | BangerError }> {
    if (isFresh) this.#surveyed = undefined;
    const survey = await this.#survey();
    try {
      this.#present = this.#decide(survey);
      return { survey, choices: this.#present };
    } catch (error) {
      if (!(error instanceof BangerError)) throw error;
      // What is missing may be there the next time.
      this.#surveyed = undefined;
      return { survey, choices: error };
    }
  }

  async choose(runtime: VmRuntime | null): Promise<VmDrivers & { note?: string }> {
    const { survey, choices } = await this.look();
    const disk = this.#parts.storages.find(({ name }) => name === runtime?.storageDriver);
    if (disk === undefined) {
      if (choices instanceof BangerError) throw choices;
      return driversOf(choices);
    }
    const own = this.#decide(survey, disk);
    if (!(choices instanceof BangerError) && choices.hypervisor.driver === own.hypervisor.driver) return driversOf(own);
    return { ...driversOf(own), note: `runs on ${own.hypervisor.driver.name}: ${own.hypervisor.reason}` };
  }

  of(runtime: VmRuntime | null): VmDrivers {
    const { hypervisors, storages, networks, missing } = this.#parts;
    return {
      hypervisor: required(this.#pick('hypervisor', hypervisors, runtime?.hypervisor)),
      storage: required(this.#pick('storage', storages, runtime?.storageDriver)),
      network: this.#pick('network', networks(), runtime?.networkDriver) ?? standInNetwork(missing()),
    };
  }

  networks(): readonly NetworkDriver[] {
    return this.#parts.networks();
  }

  /** Settles when no check is under way; a daemon that ended before would leave its test programs behind. */
  async settled(): Promise<void> {
    await this.#surveyed?.survey;
  }

  /** Shared by all who ask meanwhile, so nobody can cancel it; drivers bound the time of their checks. */
  #survey(): Promise<Survey> {
    const networks = this.networks();
    if (this.#surveyed?.networks !== networks) this.#surveyed = { networks, survey: runChecks({ ...this.#parts, networks }) };
    return this.#surveyed.survey;
  }

  #decide(survey: Survey, disk?: StorageDriver): Choices {
    if (survey.networks.length === 0) throw this.#parts.missing();
    return decide(this.#parts.wishes, survey, disk);
  }

  /** @returns the driver called so, else the one that new VMs get, else the likeliest: nothing is asked of it that matters */
  #pick<Kind extends keyof Choices>(kind: Kind, all: readonly VmDrivers[Kind][], name: string | undefined): VmDrivers[Kind] | undefined {
    const chosen = this.#present?.[kind].driver as VmDrivers[Kind] | undefined;
    const called = (wanted: string | undefined) => all.find((driver) => driver.name === wanted);
    return called(name) ?? chosen ?? called(this.#parts.wishes[kind]) ?? all[0];
  }
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
