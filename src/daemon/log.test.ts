import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('the log stays bounded, keeps the previous log, and contains no terminal control characters (9.1)', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'bangerd.log');
  const stderr = openSync(path, 'a');
  const script = `const { openLog } = await import('${import.meta.dirname}/log.ts');
    const log = openLog('info', { path: process.argv[1], maxBytes: 10_000 });
    for (let n = 0; n < 150; n++) log.info({ n, said: '\\u009b31m\\u202e\\u007f' }, 'x'.repeat(20));
    process.stderr.write('last words\\n');`;
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script, path], { stdio: ['ignore', 'ignore', stderr] });
  closeSync(stderr);
  assert.equal(status, 0);
  const [before, now] = [readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')];
  for (const file of [path, `${path}.1`]) assert.ok(statSync(file).size < 10_500, `${file}: ${statSync(file).size}`);
  assert.match(now, /\nlast words\n$/);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(before + now, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  const entries = (before + now)
    .split('\n')
    .slice(0, -2)
    .map((line) => JSON.parse(line) as { n: number; said: string });
  const last = entries.at(-1);
  assert.deepEqual([last?.n, last?.said], [149, '\u009b31m\u202e\u007f']);
  assert.deepEqual(
    entries.map(({ n }) => n),
    entries.map((_, at) => 150 - entries.length + at),
  );
});
