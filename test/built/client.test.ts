// The examples of docs/client.md, run as a user's program would be, and read by the compiler as a user's would be.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CHECKOUT, clientExample, clientProgram } from '../support/user/client-program.ts';
import { daemonFor } from '../support/daemon/test-daemon.ts';

test('the example of the client makes a VM, is refused a second one, and leaves none (1.1)', async (t) => {
  const { world } = await daemonFor(t);
  const { status, stdout, stderr } = await new Promise<{ status: unknown; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [join(clientProgram(t, clientExample(0)), 'main.mjs')],
      { env: { ...process.env, ...world.env } },
      (_error, output, errors) => resolve({ status: child.exitCode, stdout: output, stderr: errors }),
    );
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^agent [\d.]+ ms$/m);
  assert.match(stdout, /^web is running at 127\.213\.\d+\.\d+$/m);
  assert.match(stdout, /^NAME_TAKEN: there is already a VM named web; try: /m);
  assert.match(stdout, /^0 machines are left$/m);
});

test("the client's types are complete for a strict compiler, and reject members that do not exist (1.1)", (t) => {
  const directory = clientProgram(t, clientExample(0));
  const compile = () =>
    execFileSync(
      join(CHECKOUT, 'node_modules/.bin/tsc'),
      ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node', 'main.ts'],
      { cwd: directory, encoding: 'utf8' },
    );
  assert.equal(compile(), '');
  writeFileSync(join(directory, 'main.ts'), clientExample(1));
  assert.equal(compile(), '');
  writeFileSync(join(directory, 'main.ts'), `${clientExample(0)}\n(await api.showVm('web')).adress;\n`);
  assert.throws(compile, (error) => /adress/.test((error as { stdout: string }).stdout));
});
