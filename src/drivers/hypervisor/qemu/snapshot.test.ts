import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineSpecIn } from '../../../../test/support/vmm/machine-spec.ts';
import type { MachineSpec } from '../contract.ts';
import { machineArguments } from './machine-config.ts';
import type { QmpClient } from './qmp-client.ts';
import { devicesOf, INCOMING_ARGUMENTS, MigrationWatch } from './snapshot.ts';

const specIn = (directory: string, parts: Partial<MachineSpec> = {}): MachineSpec =>
  machineSpecIn(directory, {
    kernelPath: `${directory}/vmlinux`,
    initramfsPath: `${directory}/initramfs`,
    disks: [{ path: `${directory}/root`, format: 'qcow2', readOnly: false, durable: true }],
    network: { kind: 'user', macAddress: '02:00:00:00:00:01', restricted: false },
    ...parts,
  });
const devices = (spec: MachineSpec, tscKhz?: number): string[] =>
  devicesOf(machineArguments({ spec, qemuPath: '/usr/bin/qemu', accelerator: 'tcg', ...(tscKhz !== undefined && { tscKhz }) }), spec);

test('places, names, addresses and the kernel make no other machine; devices and sizes do (10.5)', () => {
  const base = devices(specIn('/run/one'));
  assert.deepEqual(devices(specIn('/run/two', { vmName: 'other', kernelArguments: ['more'] }), 2_100_000), base);
  const spec = specIn('/run/one');
  assert.deepEqual(devicesOf([...machineArguments({ spec, qemuPath: 'q', accelerator: 'tcg' }), ...INCOMING_ARGUMENTS], spec), base);
  const mapped = machineArguments({ spec, qemuPath: 'q', accelerator: 'tcg', mappedPath: '/other,place/memory' });
  assert.deepEqual(devicesOf(mapped, spec), base);
  assert.deepEqual(devices(specIn('/run/one', { memoryPath: '/a/memory' })), base);
  const user = (macAddress: string): MachineSpec['network'] => ({ kind: 'user', macAddress, restricted: false });
  assert.deepEqual(devices(specIn('/run/one', { network: user('02:00:00:00:00:02') })), base);
  const tap = (tapName: string, macAddress: string): string[] =>
    devices(specIn('/run/one', { network: { kind: 'tap', tapName, macAddress, mtu: 1500 } }));
  assert.deepEqual(tap('bgr-1', '02:00:00:00:00:01'), tap('bgr,2', '02:00:00:00:00:02'));
  const [disk] = spec.disks;
  assert.ok(disk !== undefined);
  const others: Partial<MachineSpec>[] = [
    { vcpuCount: 2 },
    { memoryMib: 129 },
    { disks: [] },
    { disks: [disk, disk] },
    { disks: [{ ...disk, format: 'raw' }] },
    { disks: [{ ...disk, readOnly: true }] },
    { network: { kind: 'none' } },
    { network: { kind: 'user', macAddress: '02:00:00:00:00:01', restricted: true } },
    { network: { kind: 'tap', tapName: 'bgr-1', macAddress: '02:00:00:00:00:01', mtu: 1500 } },
  ];
  for (const other of others) assert.notDeepEqual(devices(specIn('/run/one', other)), base, JSON.stringify(other));
});

test('a migration ends as QEMU says it does, or with QEMU (10.5, 9.5)', async () => {
  const closed = Promise.withResolvers<void>();
  const qmp = { closed: closed.promise } as QmpClient;
  const end = async (status: string): Promise<void> => {
    const watch = new MigrationWatch();
    const over = watch.begin(qmp);
    watch.onEvent({ name: 'MIGRATION', data: { status: 'active' } });
    watch.onEvent({ name: 'MIGRATION', data: { status } });
    await over();
  };
  await end('completed');
  await assert.rejects(end('failed'), { code: 'VMM_FAILED', message: /state failed/ });
  await assert.rejects(end('cancelled'), { code: 'VMM_FAILED' });
  closed.resolve();
  await assert.rejects(new MigrationWatch().begin(qmp)(), { code: 'VMM_FAILED', message: /ended with QEMU/ });
});
