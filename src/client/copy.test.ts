import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copy } from './copy.ts';
import type { CopySide } from './copy-sides.ts';

test('where the copy program is missing, nothing is begun in the guest (3.13)', async () => {
  let begun = 0;
  const means = {
    api: { exec: () => Promise.reject(new Error(`begun ${++begun}`)) },
    caller: { env: {}, programPath: '/nowhere/bin/banger' },
  };
  const listener = { note: () => undefined, total: () => undefined, moved: () => undefined };
  const here: CopySide = { kind: 'host', path: 'f', bytes: Buffer.from('f') };
  const there: CopySide = { kind: 'guest', vm: 'web', path: '/f', bytes: Buffer.from('/f') };
  for (const plan of [
    { from: here, to: there },
    { from: there, to: here },
  ]) {
    await assert.rejects(copy(means, plan, { archive: false, listener }), { code: 'PREREQUISITE_MISSING' });
  }
  assert.equal(begun, 0);
});
