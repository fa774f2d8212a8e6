import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSandbox } from './sandbox.ts';

test('a sandbox that was not used leaves nothing, and its socket paths are short', async () => {
  const sandbox = await createSandbox();
  const socket = join(sandbox.env['BANGER_RUNTIME_DIR'] ?? '', 'vms', '01234567', 'agent-15.sock');
  assert.ok(Buffer.byteLength(socket) < 100, socket);
  await sandbox.close();
  await sandbox.close();
  assert.equal(existsSync(sandbox.directory), false);
});

test('a command runs as the test user with the directories of the sandbox (2.1)', async () => {
  const sandbox = await createSandbox({ env: { EXTRA: 'x' } });
  try {
    const [program = '', ...args] = sandbox.argv(['sh', '-c', 'touch "$BANGER_STATE_DIR/a.log" && echo "$EXTRA $(id -u)"']);
    const child = spawn(program, args, { env: sandbox.env, stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    assert.match(String(line), /^x [1-9]\d*\n$/);
    await once(child, 'exit');
  } finally {
    await sandbox.close();
  }
});

test('a file and a process that stay are reported by close, and then removed (9.5)', async () => {
  const sandbox = await createSandbox({ settleMs: 200 });
  writeFileSync(join(sandbox.directory, 'state', 'root.qcow2'), '');
  const child = spawn('sleep', ['300'], { env: sandbox.env, stdio: 'ignore' });
  await assert.rejects(sandbox.close(), (error: Error) => {
    assert.match(error.message, new RegExp(`left behind: file .*root\\.qcow2`));
    assert.match(error.message, new RegExp(`left behind: process ${child.pid} sleep 300`));
    return true;
  });
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL');
  assert.equal(existsSync(sandbox.directory), false);
});
