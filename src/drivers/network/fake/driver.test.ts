import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BangerError } from '../../../model/errors.ts';
import { addressesOf } from '../../../model/network.ts';
import type { Machine } from '../../hypervisor/contract.ts';
import { networkConformance } from '../conformance.ts';
import { createFakeNetwork, fakeNetworkWorld } from './driver.ts';

const world = fakeNetworkWorld();
networkConformance('fake', {
  open: () => createFakeNetwork({ world }),
  machine: {} as Machine,
  remains: async () => [...world.taps],
});

test('a fault at attach leaves nothing (3.4)', async () => {
  const driver = createFakeNetwork({
    before: (verb) => {
      if (verb === 'attach') throw new BangerError('NETWORK_FAILED', 'made to fail');
    },
  });
  const vm = { shortId: '00000002', addresses: addressesOf(2), nat: true };
  await assert.rejects(driver.attach(vm, new AbortController().signal), { code: 'NETWORK_FAILED' });
  assert.equal(driver.world.taps.size, 0);
});

test('a busy port is reported with its reason (6.1)', async () => {
  const driver = createFakeNetwork({ isPortBusy: (_address, port) => port === 5000 });
  await driver.ensure(new AbortController().signal);
  const vm = { shortId: '00000002', addresses: addressesOf(2), nat: true };
  const [result] = await driver.setForwards(vm, [{ protocol: 'tcp', port: 5000 }], {} as Machine);
  assert.equal(result?.hostPort, null);
  assert.match(result?.problem ?? '', /another program/);
});
