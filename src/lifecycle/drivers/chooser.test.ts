import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNetwork } from '../../drivers/network/user/driver.ts';
import { realHost } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
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
