import type { Hypervisor, HypervisorChecks } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { BangerError } from '../../model/errors.ts';
import { type DriverChecks, firstFailure } from '../../model/finding.ts';

/** The results of every driver's own checks on this host; each list best first. */
export type Survey = {
  hypervisors: readonly Checked<Hypervisor, HypervisorChecks>[];
  storages: readonly Checked<StorageDriver>[];
  networks: readonly Checked<NetworkDriver>[];
};
type Checked<Driver, Checks = DriverChecks> = { driver: Driver; checks: Checks };

/** The values in config.toml: a driver's name, or `auto`. */
export type Wishes = { hypervisor: string; storage: string; network: string };

/** One driver and why it was chosen; `daemon status` shows both. */
export type Choice<Driver> = { driver: Driver; reason: string };
export type Choices = { hypervisor: Choice<Hypervisor>; storage: Choice<StorageDriver>; network: Choice<NetworkDriver> };

/** Why something is unusable, and the remedy. */
type Unusable = { reason: string; remedy: string };

/**
 * Takes the first combination of drivers that works here. A VMM accepts only some networks and disk formats.
 * @param wishes names in them must be in the survey
 * @param disk the driver of the VM's existing disk. The disk stays, so a VMM that does not accept it gives way to one that does, even if
 *   config.toml names the VMM.
 * @throws PREREQUISITE_MISSING with the remedy, if a driver that config.toml names does not work, or none does
 */
export function decide(wishes: Wishes, survey: Survey, disk?: StorageDriver): Choices {
  const named = survey.hypervisors.filter(({ driver }) => driver.name === wishes.hypervisor);
  const mustGiveWay = disk !== undefined && named.some(({ driver }) => !driver.takes.diskFormats.includes(disk.root.format));
  const candidates = named.length === 0 ? survey.hypervisors : mustGiveWay ? [...named, ...survey.hypervisors] : named;
  const skipped: (Unusable & { name: string; isUsable: boolean })[] = [];
  for (const { driver, checks } of candidates) {
    const isUsable = firstFailure(checks) === undefined;
    const found = isUsable ? joinable(driver, wishes, survey, disk) : unusable([checks], `${driver.name} does not work here`);
    if (!('network' in found)) {
      skipped.push({ ...found, name: driver.name, isUsable });
      continue;
    }
    return { hypervisor: { driver, reason: hypervisorReason(wishes.hypervisor, driver.name, checks, skipped[0]) }, ...found };
  }
  // A missing part that a working VMM needs comes first; then the VMM that demands least of the host.
  const nearest = skipped.find(({ isUsable }) => isUsable) ?? skipped.at(-1);
  throw new BangerError('PREREQUISITE_MISSING', `no VM can be started: ${nearest?.reason ?? 'there is no VMM'}`, {
    remedy: nearest?.remedy ?? 'sudo apt-get install qemu-system-x86',
  });
}

function hypervisorReason(wish: string, name: string, checks: HypervisorChecks, skipped?: Unusable & { name: string }): string {
  if (skipped !== undefined) return `${skipped.name} is not used: ${skipped.reason}`;
  if (wish === name) return `hypervisor = "${name}"`;
  return checks.version ?? 'works here';
}

/** @returns network and storage that this VMM accepts, or why there are none */
function joinable(hypervisor: Hypervisor, wishes: Wishes, survey: Survey, disk?: StorageDriver): Omit<Choices, 'hypervisor'> | Unusable {
  const network = takeFirst(
    reachableNetworks(wishes, survey).map((one) => ({ ...one, isTaken: hypervisor.takes.networks.includes(one.driver.kind) })),
    { key: 'network.mode', wish: wishes.network, hypervisor: hypervisor.name },
  );
  if ('remedy' in network) return network;
  if (disk !== undefined) {
    if (hypervisor.takes.diskFormats.includes(disk.root.format))
      return { network, storage: { driver: disk, reason: 'made the disk of this VM' } };
    const reason = `the root disk of this VM is ${disk.root.format}, which ${hypervisor.name} does not take`;
    return { reason, remedy: 'set hypervisor = "auto" in config.toml' };
  }
  const storage = takeFirst(
    survey.storages.map((one) => ({ ...one, isTaken: hypervisor.takes.diskFormats.includes(one.driver.root.format) })),
    { key: 'storage.driver', wish: wishes.storage, hypervisor: hypervisor.name },
  );
  return 'remedy' in storage ? storage : { network, storage };
}

/** Without a named network, the first one that works is chosen, and then a VMM that accepts it; the network does not follow the VMM. */
function reachableNetworks(wishes: Wishes, { networks }: Survey): Survey['networks'] {
  const isNamed = networks.some(({ driver }) => driver.name === wishes.network);
  const first = networks.findIndex(works);
  return isNamed || first < 0 ? networks : networks.slice(0, first + 1);
}

type Candidate<Driver> = Checked<Driver> & { isTaken: boolean };

/** @returns the named driver, or the first that works with this VMM */
function takeFirst<Driver extends { name: string }>(
  all: readonly Candidate<Driver>[],
  about: { key: string; wish: string; hypervisor: string },
): Choice<Driver> | Unusable {
  const named = all.find(({ driver }) => driver.name === about.wish);
  const setting = `${about.key} = "${about.wish}"`;
  if (named !== undefined) {
    if (!named.isTaken) {
      return { reason: `${setting} does not go with ${about.hypervisor}`, remedy: `set ${about.key} = "auto" in config.toml` };
    }
    if (!works(named)) return unusable([named.checks], `${setting} does not work here`);
    return { driver: named.driver, reason: setting };
  }
  const taken = all.filter(({ isTaken }) => isTaken);
  const working = taken.find(works);
  if (working === undefined) {
    const answers = taken.map(({ checks }) => checks);
    return unusable(answers, `nothing for ${about.key} goes with ${about.hypervisor}`);
  }
  const better = taken.find((one) => !works(one));
  if (better === undefined || taken.indexOf(better) > taken.indexOf(working)) {
    return { driver: working.driver, reason: working.checks.findings[0]?.reason ?? 'works here' };
  }
  return { driver: working.driver, reason: `${better.driver.name} is not used: ${firstFailure(better.checks)?.reason}` };
}

function unusable(answers: readonly DriverChecks[], otherwise: string): Unusable {
  const failed = firstFailure({ findings: answers.flatMap(({ findings }) => findings) });
  return {
    reason: failed?.reason ?? otherwise,
    remedy: failed?.remedy ?? 'set hypervisor, network.mode and storage.driver to "auto" in config.toml',
  };
}

function works({ checks }: { checks: DriverChecks }): boolean {
  return firstFailure(checks) === undefined;
}
