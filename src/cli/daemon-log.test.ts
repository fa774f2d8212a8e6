import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLog } from './daemon-log.ts';

test('a followed log of the daemon shows what is added, also after the daemon has emptied it (1.5)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'banger-log-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'bangerd.log');
  writeFileSync(path, 'first\n');
  const next: Record<string, () => void> = {
    'first\n': () => appendFileSync(path, 'second\n'),
    'second\n': () => {
      appendFileSync(path, 'last of the old\n');
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
    },
    'last of the old\n': () => appendFileSync(path, 'end\n'),
  };
  let read = '';
  for await (const chunk of readLog(path, { older: 0, newer: 0 }, true)) {
    read += chunk.toString();
    if (read.endsWith('end\n')) break;
    next[chunk.toString()]?.();
  }
  assert.equal(read, 'first\nsecond\nlast of the old\nend\n');
});
