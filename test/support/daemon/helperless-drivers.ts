// Drivers as on a machine without the root helper: they are the best in the list, but unusable.
import type { Hypervisor } from '../../../src/drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../../src/drivers/network/contract.ts';
import type { StorageDriver } from '../../../src/drivers/storage/contract.ts';
import { BangerError } from '../../../src/model/errors.ts';
import type { Finding } from '../../../src/model/finding.ts';

const refuse = (): Promise<never> =>
  Promise.reject(new BangerError('PREREQUISITE_MISSING', 'the root helper does not answer', { remedy: 'sudo banger setup' }));
const refusing = { create: refuse, clone: refuse, grow: refuse, remove: refuse, sizeBytes: refuse, allocatedBytes: refuse };
const findingOf = (name: string): Finding => ({
  name,
  level: 'fail',
  reason: 'the root helper does not answer',
  remedy: 'sudo banger setup',
});

export const helperlessHypervisor: Hypervisor = {
  name: 'jailed',
  takes: { diskFormats: ['raw', 'device'], networks: ['tap', 'none'] },
  checks: () => Promise.resolve({ accelerator: 'kvm', findings: [findingOf('jailed')] }),
  start: refuse,
  adopt: refuse,
  find: refuse,
  cleanUp: refuse,
};

export const helperlessStorage: StorageDriver = {
  name: 'dm-snapshot',
  checks: () => Promise.resolve({ findings: [findingOf('storage.dm-snapshot')] }),
  root: { format: 'device', ...refusing, attach: refuse, detach: refuse },
  work: { format: 'raw', ...refusing, ungrow: refuse, readHead: refuse },
  sweep: refuse,
};

export const helperlessNetwork: NetworkDriver = {
  name: 'bridge',
  kind: 'tap',
  addressOnHost: ({ guestAddress }) => guestAddress,
  checks: () => Promise.resolve({ findings: [findingOf('network.bridge')] }),
  ensure: refuse,
  attach: refuse,
  detach: refuse,
  setForwards: refuse,
  sweep: refuse,
};
