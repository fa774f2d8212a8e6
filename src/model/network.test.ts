import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOf, allocateNetworkIndex, FIRST_NETWORK_INDEX, LAST_NETWORK_INDEX, placeOfInstallation } from './network.ts';

test('no two VMs share an address or a MAC, over the whole range (6.1)', () => {
  const seen = new Set<string>();
  for (let index = FIRST_NETWORK_INDEX; index <= LAST_NETWORK_INDEX; index++) {
    const { guestAddress, loopbackAddress, macAddress } = addressesOf(index);
    for (const address of [guestAddress, loopbackAddress, macAddress]) {
      assert.ok(!seen.has(address), address);
      seen.add(address);
    }
  }
});

test('the addresses of a VM follow from its number (6.1)', () => {
  assert.deepEqual(addressesOf(258), { guestAddress: '10.213.1.2', loopbackAddress: '127.213.1.2', macAddress: '02:62:67:00:01:02' });
  for (const index of [0, 1, 65_280 + 1, 1.5, Number.NaN]) assert.throws(() => addressesOf(index), { code: 'INTERNAL' });
});

test('the lowest free number is taken, and a full network says so (6.1)', () => {
  assert.equal(allocateNetworkIndex(new Set([2, 3, 5])), 4);
  const all = new Set(Array.from({ length: LAST_NETWORK_INDEX + 1 }, (_, index) => index));
  assert.throws(() => allocateNetworkIndex(all), { code: 'NETWORK_FAILED' });
});

test('each installation numbers its VMs from a place of its own, around the end of the range (6.1)', () => {
  assert.equal(allocateNetworkIndex(new Set([320, 321]), 320), 322);
  assert.equal(allocateNetworkIndex(new Set([LAST_NETWORK_INDEX]), LAST_NETWORK_INDEX), FIRST_NETWORK_INDEX);
  for (let seed = 0; seed < 10_000; seed += 7) {
    const place = placeOfInstallation(seed);
    assert.ok(place >= FIRST_NETWORK_INDEX && place <= LAST_NETWORK_INDEX, `${seed} → ${place}`);
  }
  assert.notEqual(placeOfInstallation(1), placeOfInstallation(2));
});
