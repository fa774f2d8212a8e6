import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineSpecIn } from '../../../../test/support/vmm/machine-spec.ts';
import type { MachineSpec } from '../contract.ts';
import { DiskCopies } from './disk-copies.ts';
import { assertAlike, pauseLimitMs } from './fork.ts';
import { machineArguments } from './machine-config.ts';
import type { QmpClient } from './qmp-client.ts';
import { devicesOf } from './snapshot.ts';

const specIn = (directory: string, parts: Partial<MachineSpec>): MachineSpec =>
  machineSpecIn(directory, { kernelPath: '/vmlinux', initramfsPath: '/initramfs', disks: [], ...parts });
const keyOf = (spec: MachineSpec) => ({
  program: 'one',
  devices: devicesOf(machineArguments({ spec, qemuPath: 'q', accelerator: 'tcg' }), spec),
});
const tap = (shortId: string, mtu = 1500) =>
  ({ kind: 'tap', tapName: `bgr-${shortId}`, macAddress: `02:00:00:00:00:${shortId}`, mtu }) as const;

test('a machine becomes another one of the same devices at any address, and no other (10.4)', () => {
  const spec = specIn('/run/one', { network: tap('01') });
  const running = keyOf(spec);
  assertAlike(spec, running, keyOf(specIn('/run/two', { network: tap('02') })));
  const others = [{ ...running, program: 'two' }, keyOf(specIn('/run/two', { network: tap('02', 9000) })), keyOf(specIn('/run/two', {}))];
  for (const other of others) {
    assert.throws(() => assertAlike(spec, running, other), { code: 'UNSUPPORTED', remedy: 'banger vm restart web' });
  }
});

test('a guest that keeps writing to its memory may stand still longer, so that every fork ends (10.4)', () => {
  assert.deepEqual([1, 2, 4, 5, 6, 9, 10, 100].map(pauseLimitMs), [60, 60, 60, 120, 240, 1920, 2000, 2000]);
});

test('a copy of a disk that fails, before or after it is ready, is told with the reason of QEMU (10.4)', async () => {
  const qmp: Pick<QmpClient, 'command'> = { command: () => Promise.resolve({}) };
  const disk = { path: '/disk', format: 'qcow2', readOnly: false, durable: true } as const;
  const begun = async (): Promise<DiskCopies> => {
    const copies = new DiskCopies();
    await copies.begin(qmp as QmpClient, [disk, disk]);
    copies.onEvent({ name: 'BLOCK_JOB_READY', data: { device: 'disk-copy-0' } });
    return copies;
  };
  const full = { name: 'BLOCK_JOB_COMPLETED', data: { device: 'disk-copy-1', error: 'No space left on device' } };
  const early = await begun();
  early.onEvent(full);
  await assert.rejects(early.ready(), { code: 'VMM_FAILED', message: /No space left/ });
  const late = await begun();
  late.onEvent({ name: 'BLOCK_JOB_READY', data: { device: 'disk-copy-1' } });
  await late.ready();
  late.onEvent({ name: 'BLOCK_JOB_COMPLETED', data: { device: 'disk-copy-0' } });
  late.onEvent(full);
  await assert.rejects(late.end(qmp as QmpClient), { message: /No space left/ });
});
