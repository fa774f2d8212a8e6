import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSandbox } from './sandbox.ts';
import { describeVmms } from './vmm-look.ts';

test('of a VMM one learns which threads sleep, and the last lines of its guest', async () => {
  const sandbox = await createSandbox();
  const child = spawn('cat', [], { argv0: 'qemu-system-x86_64', env: sandbox.env, stdio: 'pipe' });
  try {
    await once(child, 'spawn');
    assert.equal(await describeVmms(sandbox.scope), `VMM ${child.pid}: cat S 0 %\n`);
    mkdirSync(join(sandbox.directory, 'state', 'web'));
    writeFileSync(join(sandbox.directory, 'state', 'web', 'serial.log'), 'one\ntwo\nthree\nfour\n');
    assert.match(await describeVmms(sandbox.scope), /\nstate\/web\/serial\.log:\ntwo\nthree\nfour\n$/);
  } finally {
    child.kill();
    await once(child, 'exit');
    await sandbox.close();
  }
  assert.equal(await describeVmms(sandbox.scope), '');
});
