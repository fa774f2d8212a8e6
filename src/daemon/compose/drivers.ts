import type { HypervisorChecks } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { BangerError } from '../../model/errors.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Drivers } from '../../lifecycle/services.ts';
import type { Config } from '../config.ts';
import type { DaemonParts } from './join.ts';

/** One driver and why it was taken; `daemon status` shows both. */
export type Choice<Driver> = {
  driver: Driver;
  reason: string;
  /** What kept a better driver from being taken; `doctor` shows it with its remedies. */
  obstacles?: Verdict[];
};

/**
 * Takes the storage driver that config asks for, or the best that works here: clones where the file system has them,
 * else qcow2.
 * @param candidates best first
 * @throws PREREQUISITE_MISSING
 */
export async function chooseStorage(
  wanted: Config['storage']['driver'],
  candidates: readonly StorageDriver[],
  directory: string,
): Promise<Choice<StorageDriver>> {
  if (wanted !== 'auto') {
    const driver = candidates.find((candidate) => candidate.name === wanted);
    if (driver !== undefined) return { driver, reason: `storage.driver = "${wanted}"` };
  }
  for (const driver of candidates) {
    const verdict = await driver.check(directory);
    if (verdict.level !== 'fail') return { driver, reason: verdict.reason };
  }
  throw new BangerError('PREREQUISITE_MISSING', 'no storage driver works here', { remedy: 'banger doctor' });
}

/**
 * Takes the private network where this host allows it, else QEMU's own user network.
 * @throws PREREQUISITE_MISSING when config insists on the private one and it does not work
 */
export async function chooseNetwork(
  wanted: Config['network']['mode'],
  candidates: { private: NetworkDriver; user: NetworkDriver },
): Promise<Choice<NetworkDriver>> {
  if (wanted === 'user') return { driver: candidates.user, reason: 'network.mode = "user"' };
  const failed = (await candidates.private.checks()).filter((verdict) => verdict.level === 'fail');
  const [first] = failed;
  if (first === undefined) return { driver: candidates.private, reason: 'user namespaces with bridge and TAP work here' };
  if (wanted === 'private') {
    throw new BangerError('PREREQUISITE_MISSING', `the private network does not work here: ${first.reason}`, {
      remedy: first.remedy ?? 'banger doctor',
      details: { failed },
    });
  }
  return {
    driver: candidates.user,
    reason: `the private network does not work here: ${first.reason}`,
    obstacles: failed.map((verdict) => ({ ...verdict, level: 'warn' })),
  };
}

/** What the VMM's checks decided, in the words of `daemon status`. */
export function acceleratorReason(checks: HypervisorChecks): string {
  return checks.verdicts.find((verdict: Verdict) => verdict.name === 'kvm')?.reason ?? `uses ${checks.accelerator}`;
}

/** Stands in for a network that cannot be had, so that VMs can still be listed, stopped and deleted. */
export function standInNetwork(reason: BangerError): NetworkDriver {
  const refuse = (): Promise<never> => Promise.reject(reason);
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    name: 'private',
    addressOnHost: (addresses) => addresses.loopbackAddress,
    checks: () => Promise.resolve([]),
    ensure: refuse,
    attach: refuse,
    detach: nothing,
    setForwards: (_vm, listeners) => (listeners.length === 0 ? Promise.resolve([]) : refuse()),
    sweep: nothing,
  };
}

/** @returns the drivers of any VM: what made it, else what was chosen, which for networks can change with the bundle */
export function driversOf(parts: Pick<DaemonParts, 'hypervisor' | 'hypervisors' | 'storage' | 'storages' | 'bundle'>): Drivers {
  const { hypervisor, hypervisors, storage, storages, bundle } = parts;
  const named = <Driver extends { name: string }>(all: readonly Driver[], name: string | undefined, chosen: Driver): Driver =>
    all.find((candidate) => candidate.name === name) ?? chosen;
  return {
    of: (runtime) => ({
      hypervisor: named(hypervisors, runtime?.hypervisor, hypervisor.driver),
      storage: named(storages, runtime?.storageDriver, storage.driver),
      network: named(bundle.networks(), runtime?.networkDriver, bundle.network().driver),
    }),
    networks: () => bundle.networks(),
  };
}
