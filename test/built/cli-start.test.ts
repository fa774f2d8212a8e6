// How the built CLI meets the streams that it is started with.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { answer, startStubDaemon, stubVm } from '../support/daemon/stub-daemon.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'banger');

test('the built CLI ends silently when its reader closes the pipe (1.7)', async () => {
  const child = spawn(program, ['help', 'exit-codes'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(child, 'close')) as [number | null];
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

test('a slow reader gets more output than a pipe holds (1.7)', async () => {
  const vms = Array.from({ length: 2000 }, (_, at) => stubVm(`web-${at}`, at.toString(16).padStart(8, '0')));
  const stub = await startStubDaemon({ routes: { 'GET /v1/vms': answer(vms) } });
  try {
    const env = { PATH: '/usr/bin:/bin', ...stub.env };
    const { stdout } = await promisify(execFile)('sh', ['-c', '"$0" vm list -o json | cat', program], { env, maxBuffer: 1024 ** 3 });
    assert.ok(stdout.length > 300_000);
    assert.equal((JSON.parse(stdout) as unknown[]).length, vms.length);
  } finally {
    await stub.close();
  }
});

test('a full output is reported with the reason and status 1 (1.6)', () => {
  const full = openSync('/dev/full', 'w');
  try {
    const { status, stderr } = spawnSync(program, ['help', 'exit-codes'], { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
    assert.deepEqual({ status, stderr }, { status: 1, stderr: 'banger: the output cannot be written: the disk is full\n' });
  } finally {
    closeSync(full);
  }
});

test('the built CLI answers with stdin, stdout and stderr closed, in every combination (1.7)', () => {
  for (const closed of ['<&-', '>&-', '2>&-', '<&- >&-', '<&- 2>&-', '>&- 2>&-', '<&- >&- 2>&-']) {
    const { status, signal, stdout } = spawnSync('sh', ['-c', `exec "$0" --version ${closed}`, program], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(signal, null, closed);
    if (!/(^|[^2])>&-/.test(closed)) assert.deepEqual([status, /^\d+\.\d+/.test(stdout)], [0, true], closed);
  }
});
