import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realHost } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { addressesOf } from '../../../model/network.ts';
import type { Machine } from '../../hypervisor/contract.ts';
import { networkConformance } from '../conformance.ts';
import { createUserNetwork } from './driver.ts';

/** Behaves as QEMU's hostfwd_add and hostfwd_remove for an ordinary user. */
function fakeMachine(): { machine: Machine; bound: Set<string> } {
  const bound = new Set<string>();
  const machine = {
    forwardUserPort: async ({ protocol, hostAddress, hostPort }: { protocol: string; hostAddress: string; hostPort: number }) => {
      const key = `${protocol}/${hostAddress}:${hostPort}`;
      if (hostPort < 1024 || bound.has(key)) throw new BangerError('VMM_FAILED', `could not set up host forwarding rule ${key}`);
      bound.add(key);
    },
    removeUserPort: async ({ protocol, hostAddress, hostPort }: { protocol: string; hostAddress: string; hostPort: number }) => {
      if (!bound.delete(`${protocol}/${hostAddress}:${hostPort}`)) throw new BangerError('VMM_FAILED', 'no such rule');
    },
  };
  return { machine: machine as unknown as Machine, bound };
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
  assert.deepEqual([...bound].sort(), ['tcp/127.213.0.2:10022', 'tcp/127.213.0.2:5000']);
  await driver.setForwards(vm, [{ protocol: 'tcp', port: 22 }], machine);
  assert.deepEqual([...bound], ['tcp/127.213.0.2:10022']);
});

test('a VM without NAT is restricted by QEMU itself (6.1)', async () => {
  const { network } = await createUserNetwork({ host: realHost }).attach({ ...vm, nat: false }, new AbortController().signal);
  assert.deepEqual(network, { kind: 'user', macAddress: vm.addresses.macAddress, restricted: true });
});
