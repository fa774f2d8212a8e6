import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkName } from './name.ts';

test('a name is a lower-case DNS label (3.2)', () => {
  for (const name of ['a', '9', 'web', 'web-1', 'a--b', '0x', 'a'.repeat(63)]) assert.equal(checkName(name), name);
});

test('every other name is refused with the rule that it breaks (3.2)', () => {
  const bad: [name: string, rule: RegExp][] = [
    ['', /empty/],
    ['a'.repeat(64), /64 characters/],
    ['A_b', /upper-case/],
    ['-x', /DNS label/],
    ['x-', /DNS label/],
    ['../x', /DNS label/],
    ['a b', /DNS label/],
    ['a\0b', /DNS label/],
    ['a\n', /DNS label/],
    ['ä', /DNS label/],
    ['web.vm', /DNS label/],
    ['localhost', /reserved/],
  ];
  for (const [name, rule] of bad)
    assert.throws(
      () => checkName(name),
      (error) => (error as { code: string }).code === 'INVALID_INPUT' && rule.test(String(error)),
      name,
    );
});
