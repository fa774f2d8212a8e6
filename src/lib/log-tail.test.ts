import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { beginOfTail } from './log-tail.ts';

test('the last lines of a log are found whatever its length and end (3.13)', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-tail-'));
  const path = join(directory, 'log');
  try {
    assert.deepEqual(await beginOfTail(path, 3), { begin: 0, missing: 3 });
    const long = 'x'.repeat(70_000);
    const texts = ['', '\n', '\n\n', 'a', 'a\n', 'a\nb', 'a\nb\n', '\na\n\nb', `${long}\n${long}\n${long}`, `${long}\n\n${long}\n`];
    for (const text of texts) {
      writeFileSync(path, text);
      const lines = text.split(/(?<=\n)/);
      for (const count of [0, 1, 2, 3, 9]) {
        const expected = count === 0 ? '' : lines.slice(-count).join('');
        const { begin, missing } = await beginOfTail(path, count);
        const what = `${count} of ${JSON.stringify(text.slice(0, 20))}`;
        assert.equal(text.slice(begin), expected, what);
        assert.equal(missing, Math.max(0, count - lines.filter((line) => line !== '').length), what);
      }
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
