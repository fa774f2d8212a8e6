import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

test('a mistyped name finds the one that is near, and only that (3.1)', () => {
  const names = ['web', 'database', 'mail-relay'];
  const cases: Record<string, string | undefined> = {
    wbe: 'web',
    we: 'web',
    wwb: 'web',
    datbase: 'database',
    databaes: 'database',
    'mail-rely': 'mail-relay',
    cat: undefined,
    '': undefined,
    nothing: undefined,
  };
  for (const [word, expected] of Object.entries(cases)) assert.equal(nearest(word, names), expected, word);
  assert.equal(nearest('x'.repeat(100_000), names), undefined);
  assert.equal(nearest('web', []), undefined);
});
