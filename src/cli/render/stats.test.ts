import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barOf } from './stats.ts';

test('a bar is as long as its part, in eighths of a cell; a little is seen, and too much is just full (3.11)', () => {
  const drawn = (fraction: number): string => Object.values(barOf(fraction)).join('');
  assert.equal(drawn(0), '░'.repeat(30));
  assert.equal(drawn(0.5), '█'.repeat(15) + '░'.repeat(15));
  assert.equal(drawn(0.55), '█'.repeat(16) + '▌' + '░'.repeat(13));
  assert.equal(drawn(0.0001), '▏' + '░'.repeat(29));
  for (const fraction of [1, 2.5]) assert.equal(drawn(fraction), '█'.repeat(30));
});
