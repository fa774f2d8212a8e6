import assert from 'node:assert/strict';
import { test } from 'node:test';
import { given } from './given.ts';

test('only members with a value are given on; null, false and 0 are values (1.1)', () => {
  assert.deepEqual(given({ a: undefined, b: null, c: 0, d: false }), { b: null, c: 0, d: false });
});
