// What the built CLI loads before its first line of output. Every module named here costs more than the command itself.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

const program = join(import.meta.dirname, '..', '..', 'dist', 'banger.cjs');
const SLOW = /^NativeModule (undici|internal\/deps\/undici\/.*|tls|https|http|http2|_http_client|child_process|sqlite)$/;

/** Runs the CLI with a preloaded line that prints the list of loaded modules at the end. */
function modulesLoadedBy(args: readonly string[]): string[] {
  const print = "process.on('exit', () => process.stderr.write('\\nLOADED ' + JSON.stringify(process.moduleLoadList)))";
  const preload = `data:text/javascript,${encodeURIComponent(print)}`;
  const { stderr, status } = spawnSync(process.execPath, ['--import', preload, program, ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(/LOADED (.*)$/m.exec(stderr)?.[1] ?? '[]') as string[];
}

test('the built CLI starts without HTTP, TLS, undici, child_process or SQLite (1.7)', () => {
  for (const args of [['--version'], ['vm', '--help']]) {
    const loaded = modulesLoadedBy(args);
    assert.ok(loaded.length > 20, 'the list of loaded modules was read');
    assert.deepEqual(
      loaded.filter((name) => SLOW.test(name)),
      [],
      args.join(' '),
    );
  }
});

test('a reader that goes away ends the built CLI silently (1.7)', async () => {
  const child = spawn(process.execPath, [program, 'help', 'exit-codes'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(child, 'close')) as [number | null];
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});
