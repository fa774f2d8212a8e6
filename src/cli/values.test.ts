import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEnvironment } from './values.ts';

test('variables may have the names of what every object has (3.13)', () => {
  const pairs = ['__proto__=1', 'constructor=2', 'toString', 'HOME', 'A=b=c'];
  const parsed = parseEnvironment('--env', pairs, { HOME: '/root' });
  assert.deepEqual(Object.entries(parsed), [
    ['__proto__', '1'],
    ['constructor', '2'],
    ['HOME', '/root'],
    ['A', 'b=c'],
  ]);
});
