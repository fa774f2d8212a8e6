// Somebody else of this host has made the runtime directory first, and waits there for what the user says to the daemon.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const bin = join(import.meta.dirname, '..', '..', 'bin');
const STRANGER = 54_321;
const asRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can make what belongs to another user' };

/** A daemon of a stranger's, which answers whatever lets a command go on. @returns what it heard, and a command line of the victim */
async function trap(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  const run = join(directory, 'run');
  mkdirSync(run, { mode: 0o755 });
  chmodSync(directory, 0o755);
  let heard = 0;
  const server = createServer((socket) => {
    heard++;
    socket.on('error', () => undefined).end('HTTP/1.0 200 OK\r\n\r\n{}');
  }).listen(join(run, 'bangerd.sock'));
  await once(server, 'listening');
  chmodSync(join(run, 'bangerd.sock'), 0o666);
  for (const path of [join(run, 'bangerd.sock'), run]) chownSync(path, STRANGER, STRANGER);
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: directory,
    BANGER_CONFIG: join(directory, 'none.toml'),
    BANGER_STATE_DIR: join(directory, 'state'),
    BANGER_CACHE_DIR: join(directory, 'cache'),
    BANGER_RUNTIME_DIR: run,
  };
  const start = async (program: string, args: readonly string[], more: Record<string, string> = {}) => {
    const child = spawn(join(bin, program), args, { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk));
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, ...text };
  };
  return { directory, run, start, heard: () => heard };
}

test(
  'no command sends a byte to a socket in the directory of another user, and the error names the owner (1.1, 12.8)',
  asRoot,
  async (t) => {
    const { directory, run, start, heard } = await trap(t);
    writeFileSync(join(directory, 'secret'), 'secret');
    const commands = [
      ['vm', 'list'],
      ['vm', 'cp', join(directory, 'secret'), 'web:/root/'],
      ['vm', 'exec', 'web', 'true'],
      ['vm', 'ssh', 'web'],
      ['ssh-config', '--install'],
      ['daemon', 'status'],
      ['daemon', 'start'],
      ['daemon', 'stop'],
      ['daemon', 'restart'],
      ['internal', 'dial-stdio'],
      ['internal', 'ssh-proxy', 'web'],
    ];
    for (const words of commands) {
      const { status, stdout, stderr } = await start('banger', words);
      assert.notEqual(status, 0, words.join(' '));
      assert.equal(stdout, '', words.join(' '));
      assert.match(stderr, /^banger: .*\/run belongs to uid 54321, not to you \(uid 0\)\n {2}try: set BANGER_RUNTIME_DIR/, words.join(' '));
    }
    const there = await start('banger', ['vm', 'list'], { BANGER_HOST: `unix://${run}/bangerd.sock` });
    assert.match(there.stderr, /belongs to uid 54321/);
    const completed = await start('banger', ['internal', 'complete', '--', 'vm', 'start', '']);
    assert.deepEqual([completed.status, completed.stdout], [0, ':\n']);
    assert.equal(heard(), 0);
    assert.ok(!existsSync(join(directory, '.ssh')));
  },
);

test('the published client sends nothing there either (1.1, 12.8)', asRoot, async (t) => {
  const { run, heard } = await trap(t);
  const { createClient } = await import('../../src/client/package.ts');
  await assert.rejects(createClient({ host: `unix://${run}/bangerd.sock` }).vms.list(), {
    code: 'NOT_PERMITTED',
    message: /belongs to uid 54321/,
    remedy: /BANGER_RUNTIME_DIR/,
  });
  assert.equal(heard(), 0);
});

test('a daemon does not serve in the directory of another user, nor beside the socket of one (1.1, 12.8)', asRoot, async (t) => {
  const { run, start, heard } = await trap(t);
  const refused = await start('bangerd', []);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^bangerd: .*\/run belongs to uid 54321, not to you \(uid 0\)\n {2}try: set BANGER_RUNTIME_DIR/);
  chownSync(run, 0, 0);
  chmodSync(run, 0o700);
  const beside = await start('bangerd', []);
  assert.match(beside.stderr, /bangerd\.sock belongs to uid 54321, not to you \(uid 0\)\n {2}try: rm /);
  assert.equal(heard(), 0);
});
