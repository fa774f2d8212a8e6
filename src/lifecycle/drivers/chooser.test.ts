import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import { createUserNetwork } from '../../drivers/network/user/driver.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { realHost } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { absentHypervisor, absentStorage } from './absent.ts';
import { Chooser } from './chooser.ts';

test('without a bundle a VM keeps the network that needs nothing of it, and no other (10.7)', async () => {
  const user = createUserNetwork({ host: realHost });
  const chooser = new Chooser({
    ...{ wishes: { hypervisor: 'auto', storage: 'auto', network: 'auto' }, hypervisors: [], storages: [] },
    ...{ networks: () => [], standingNetworks: [user], missing: () => new BangerError('BUNDLE_MISSING', 'there is no runtime bundle') },
  });
  const joinedTo = (networkDriver: 'user' | 'private') => chooser.of({ bootId: '', networkDriver }).network;
  assert.equal(joinedTo('user'), user);
  await assert.rejects(async () => joinedTo('private')?.ensure(new AbortController().signal), {
    code: /PREREQUISITE_MISSING|BUNDLE_MISSING/,
  });
});

test('a root disk of one format is made by the first that works and makes it, whatever config names (5.1, 8.3)', async () => {
  const driver = (name: string, format: 'raw' | 'qcow2', level: 'pass' | 'fail' = 'pass'): StorageDriver => ({
    ...absentStorage(name),
    root: { ...absentStorage(name).root, format },
    checks: () => Promise.resolve({ findings: [{ name, level, reason: name, remedy: `mend ${name}` }] }),
  });
  const hypervisor: Hypervisor = {
    ...absentHypervisor('broad'),
    takes: { diskFormats: ['raw', 'qcow2'], networks: ['user'] },
    checks: () => Promise.resolve({ accelerator: 'tcg', findings: [] }),
  };
  const chooserOf = (storages: StorageDriver[]) => {
    const user = createUserNetwork({ host: realHost });
    return new Chooser({
      ...{ wishes: { hypervisor: 'auto', storage: 'layers', network: 'auto' }, hypervisors: [hypervisor], storages },
      ...{ networks: () => [user], standingNetworks: [], missing: () => new BangerError('BUNDLE_MISSING', 'there is no runtime bundle') },
    });
  };
  const layers = driver('layers', 'qcow2');
  const chooser = chooserOf([driver('broken', 'raw', 'fail'), layers, driver('files', 'raw')]);
  assert.equal((await chooser.choose(null)).storage.name, 'layers');
  assert.equal((await chooser.choose(null, 'raw')).storage.name, 'files');
  assert.equal((await chooser.choose({ bootId: '', storageDriver: 'layers' }, 'raw')).storage.name, 'layers', 'a disk that is there stays');
  await assert.rejects(chooserOf([layers]).choose(null, 'raw'), { code: 'PREREQUISITE_MISSING', message: /of the format raw/ });
});
