import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskUsage } from '../drivers/storage/contract.ts';
import { decideHost, decideOverlay, nextLookMs } from './space-decisions.ts';

const MIB = 1024 ** 2;
const usage = (usedMib: number, sizeMib: number, state: DiskUsage['state'] = 'ok'): DiskUsage => ({
  usedBytes: usedMib * MIB,
  sizeBytes: sizeMib * MIB,
  limitBytes: 1000 * MIB,
  state,
});

test('an overlay with 128 MiB left is let be, one with less is given more ahead (5.4)', () => {
  assert.deepEqual(decideOverlay(usage(128, 256)), { do: 'nothing' });
  assert.deepEqual(decideOverlay(usage(129, 256)), { do: 'extend', sizeBytes: (129 + 512) * MIB });
});

test('no more is given than the guest can ever write (5.4)', () => {
  assert.deepEqual(decideOverlay(usage(700, 800)), { do: 'extend', sizeBytes: 1000 * MIB });
  assert.deepEqual(decideOverlay(usage(999, 1000)), { do: 'nothing' });
});

test('a full disk and a damaged one are distinguished; neither is extended (5.4)', () => {
  const full = decideOverlay(usage(0, 0, 'overflow'));
  const damaged = decideOverlay(usage(0, 0, 'invalid'));
  assert.match(full.do === 'report' ? full.problem : '', /are kept: restart the VM/);
  assert.match(damaged.do === 'report' ? damaged.problem : '', /damaged/);
});

test('a guest waits while there is still room for its next writes, and continues when there is clearly more (5.4)', () => {
  assert.equal(decideHost(63 * MIB).do, 'hold');
  assert.deepEqual(decideHost(64 * MIB), { do: 'nothing' });
  assert.deepEqual(decideHost(127 * MIB), { do: 'nothing' });
  assert.deepEqual(decideHost(128 * MIB), { do: 'go on' });
});

test('the fuller the disk, the sooner the next look, within bounds (5.4)', () => {
  assert.equal(nextLookMs(1024 ** 4, 500), 10_000);
  assert.equal(nextLookMs(64 * MIB + 4 * 1024 ** 3, 500), 1000);
  assert.equal(nextLookMs(0, 500), 25);
});
