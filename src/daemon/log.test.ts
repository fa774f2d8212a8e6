import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';

test('a log that finds no room does not end the daemon (9.1, 9.5)', () => {
  const full = openSync('/dev/full', 'w');
  const script = `const { openLog } = await import('${import.meta.dirname}/log.ts');
    const log = openLog('info');
    for (let n = 0; n < 3; n++) { log.error({ n }, 'full'); await new Promise(setImmediate); }
    console.log('goes on');`;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', full],
    encoding: 'utf8',
  });
  closeSync(full);
  assert.deepEqual([stdout, status], ['goes on\n', 0]);
});
