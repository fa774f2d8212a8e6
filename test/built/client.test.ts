// The example of docs/client.md, run as a user's program would be, and read by the compiler as a user's would be.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { daemonFor } from '../support/test-daemon.ts';

const root = join(import.meta.dirname, '..', '..');

function example(): string {
  const page = readFileSync(join(root, 'docs/client.md'), 'utf8');
  return /```js\n([^]*?)```/.exec(page)?.[1] ?? '';
}

/** A package of a user's that depends on this one. */
function program(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-client-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'node_modules/@types'), { recursive: true });
  symlinkSync(root, join(directory, 'node_modules/banger'));
  symlinkSync(join(root, 'node_modules/@types/node'), join(directory, 'node_modules/@types/node'));
  symlinkSync(join(root, 'node_modules/zod'), join(directory, 'node_modules/zod'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  writeFileSync(join(directory, 'main.mjs'), example());
  writeFileSync(join(directory, 'main.ts'), example());
  return directory;
}

test('the example of the client makes a VM, is refused a second one, and leaves none (1.1)', async (t) => {
  const { world } = await daemonFor(t);
  const { status, stdout, stderr } = await new Promise<{ status: unknown; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [join(program(t), 'main.mjs')],
      { env: { ...process.env, ...world.env } },
      (_error, output, errors) => resolve({ status: child.exitCode, stdout: output, stderr: errors }),
    );
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^agent [\d.]+ ms$/m);
  assert.match(stdout, /^web is running at 127\.213\.\d+\.\d+$/m);
  assert.match(stdout, /^NAME_TAKEN: there is a VM named web already; try: /m);
  assert.match(stdout, /^0 machines are left$/m);
});

test('the types of the client are whole for a strict compiler, and know what does not exist (1.1)', (t) => {
  const directory = program(t);
  const compile = () =>
    execFileSync(
      join(root, 'node_modules/.bin/tsc'),
      ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node', 'main.ts'],
      { cwd: directory, encoding: 'utf8' },
    );
  assert.equal(compile(), '');
  writeFileSync(join(directory, 'main.ts'), `${example()}\n(await api.showVm('web')).adress;\n`);
  assert.throws(compile, (error) => /adress/.test((error as { stdout: string }).stdout));
});
