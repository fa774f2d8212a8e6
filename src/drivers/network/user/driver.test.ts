import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realHost } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { addressesOf } from '../../../model/network.ts';
import type { Machine, UserPort } from '../../hypervisor/contract.ts';
import { networkConformance } from '../conformance.ts';
import { createUserNetwork } from './driver.ts';

/** Behaves as QEMU's hostfwd_add and hostfwd_remove for an ordinary user. @param before what an earlier daemon left open */
function fakeMachine(before: readonly UserPort[] = []): { machine: Machine; bound(): string[] } {
  const keyOf = ({ protocol, hostAddress, hostPort }: UserPort): string => `${protocol}/${hostAddress}:${hostPort}`;
  const open = new Map(before.map((forward) => [keyOf(forward), forward]));
  const machine = {
    listUserPorts: () => Promise.resolve([...open.values()]),
    forwardUserPort: async (forward: UserPort) => {
      const key = keyOf(forward);
      if (forward.hostPort < 1024 || open.has(key)) throw new BangerError('VMM_FAILED', `could not set up host forwarding rule ${key}`);
      open.set(key, forward);
    },
    removeUserPort: async (forward: UserPort) => {
      if (!open.delete(keyOf(forward))) throw new BangerError('VMM_FAILED', 'no such rule');
    },
  };
  return { machine: machine as unknown as Machine, bound: () => [...open.keys()].toSorted() };
}

networkConformance('user', { open: () => createUserNetwork({ host: realHost }), machine: fakeMachine().machine, remains: async () => [] });

const vm = { shortId: '00000002', addresses: addressesOf(2), nat: true };

test('listeners that close are taken back from QEMU (6.1)', async () => {
  const { machine, bound } = fakeMachine();
  const driver = createUserNetwork({ host: realHost });
  await driver.setForwards(
    vm,
    [
      { protocol: 'tcp', port: 5000 },
      { protocol: 'tcp', port: 22 },
    ],
    machine,
  );
  assert.deepEqual(bound(), ['tcp/127.213.0.2:10022', 'tcp/127.213.0.2:5000']);
  await driver.setForwards(vm, [{ protocol: 'tcp', port: 22 }], machine);
  assert.deepEqual(bound(), ['tcp/127.213.0.2:10022']);
});

test('a daemon that comes later keeps the forwards that are still wanted, and takes back the others (10.7)', async () => {
  const left = (hostAddress: string, hostPort: number, guestPort: number) => ({
    protocol: 'tcp' as const,
    hostAddress,
    hostPort,
    guestPort,
  });
  const own = vm.addresses.loopbackAddress;
  const { machine, bound } = fakeMachine([
    left(own, 10022, 22),
    left(own, 3000, 3000),
    left('127.0.0.1', 8080, 80),
    left('127.0.0.1', 9090, 80),
  ]);
  const results = await createUserNetwork({ host: realHost }).setForwards(
    vm,
    [
      { protocol: 'tcp', port: 22 },
      { protocol: 'tcp', port: 5000 },
      { protocol: 'tcp', port: 80, at: { address: '127.0.0.1', port: 8080 } },
    ],
    machine,
  );
  assert.deepEqual(
    results.map(({ hostPort, problem }) => [hostPort, problem]),
    [
      [10022, undefined],
      [5000, undefined],
      [8080, undefined],
    ],
  );
  assert.deepEqual(bound(), ['tcp/127.0.0.1:8080', `tcp/${own}:10022`, `tcp/${own}:5000`]);
});

test('a VM without NAT is restricted by QEMU itself (6.1)', async () => {
  const { network } = await createUserNetwork({ host: realHost }).attach({ ...vm, nat: false }, new AbortController().signal);
  assert.deepEqual(network, { kind: 'user', macAddress: vm.addresses.macAddress, restricted: true });
});
