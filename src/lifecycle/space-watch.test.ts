import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OverlayUsage } from '../drivers/storage/contract.ts';
import { decideSpace } from './space-watch.ts';

const MIB = 1024 ** 2;
const usage = (usedMib: number, sizeMib: number, state: OverlayUsage['state'] = 'ok'): OverlayUsage => ({
  usedBytes: usedMib * MIB,
  sizeBytes: sizeMib * MIB,
  limitBytes: 1000 * MIB,
  state,
});

test('an overlay with 128 MiB left is let be, one with less is given more ahead (5.4)', () => {
  assert.deepEqual(decideSpace(usage(128, 256)), { do: 'nothing' });
  assert.deepEqual(decideSpace(usage(129, 256)), { do: 'extend', sizeBytes: (129 + 512) * MIB });
});

test('no more is given than the guest can ever write (5.4)', () => {
  assert.deepEqual(decideSpace(usage(700, 800)), { do: 'extend', sizeBytes: 1000 * MIB });
  assert.deepEqual(decideSpace(usage(999, 1000)), { do: 'nothing' });
});

test('a disk that ran full is told apart from one that is damaged; neither is extended (5.4)', () => {
  const full = decideSpace(usage(0, 0, 'overflow'));
  const damaged = decideSpace(usage(0, 0, 'invalid'));
  assert.match(full.do === 'report' ? full.problem : '', /is kept: restart the VM/);
  assert.match(damaged.do === 'report' ? damaged.problem : '', /damaged/);
});
