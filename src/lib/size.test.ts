import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatSize, parseSize } from './size.ts';

test('sizes are powers of 1024 in every spelling (3.2)', () => {
  for (const text of ['512M', '512m', '512MB', '512MiB', '512 MiB', '0.5G', '524288K', '536870912'])
    assert.equal(parseSize(text), 512 * 1024 ** 2, text);
  assert.equal(parseSize('4GiB'), 4 * 1024 ** 3);
});

test('a bare number counts the unit that its place gives it (3.2)', () => {
  assert.equal(parseSize('512', { bareUnit: 1024 ** 2 }), 512 * 1024 ** 2);
  assert.equal(parseSize('512B', { bareUnit: 1024 ** 2 }), 512);
});

test('malformed sizes, and fractions of a byte, are refused (3.2)', () => {
  for (const text of ['', '-1', '12q', '1e18', '1.5', 'G', '0x10', '1 2', '9999999999999999', '1,5G', 'NaN', '4GG']) {
    assert.equal(parseSize(text), undefined, text);
  }
});

test('any text gives a size or nothing, never a wrong number (3.2)', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const bytes = parseSize(text);
      assert.ok(bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0));
    }),
    { seed: 3 },
  );
});

test('sizes are shown with at most one decimal (1.7)', () => {
  assert.deepEqual([0, 1023, 1536, 8 * 1024 ** 3, 1.25 * 1024 ** 4].map(formatSize), ['0 B', '1023 B', '1.5 KiB', '8 GiB', '1.3 TiB']);
});
