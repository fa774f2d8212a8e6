// Stands in for a recorded driver that this daemon does not have. The VM can still be shown, and every operation on what that driver made
// fails with the reason.
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { BangerError } from '../../model/errors.ts';

/** @returns the error for work on what a missing driver made */
export function notHere(kind: 'hypervisor' | 'storage' | 'network', name: string): BangerError {
  return new BangerError('PREREQUISITE_MISSING', `the ${kind} driver "${name}", recorded for the VM, is not part of this banger`, {
    remedy: 'use the banger that made the VM',
    details: { kind, driver: name },
  });
}

export function absentHypervisor(name: string): Hypervisor {
  const refuse = (): Promise<never> => Promise.reject(notHere('hypervisor', name));
  return {
    name,
    takes: { diskFormats: [], networks: [] },
    checks: refuse,
    start: refuse,
    adopt: refuse,
    find: refuse,
    cleanUp: refuse,
  };
}

export function absentStorage(name: string): StorageDriver {
  const refuse = (): Promise<never> => Promise.reject(notHere('storage', name));
  const disks = { create: refuse, clone: refuse, grow: refuse, remove: refuse, sizeBytes: refuse, allocatedBytes: refuse };
  return {
    name,
    checks: refuse,
    root: { format: 'raw', ...disks, attach: refuse, detach: refuse },
    work: { format: 'raw', ...disks, ungrow: refuse, readHead: refuse },
  };
}

/** What it made stays, and is swept once the network is available again. */
export function absentNetwork(name: string, reason: BangerError): NetworkDriver {
  const refuse = (): Promise<never> => Promise.reject(reason);
  return {
    name,
    kind: 'none',
    addressOnHost: (addresses) => addresses.loopbackAddress,
    checks: refuse,
    ensure: refuse,
    attach: refuse,
    detach: refuse,
    setForwards: (_vm, listeners) => (listeners.length === 0 ? Promise.resolve([]) : refuse()),
    sweep: refuse,
  };
}
