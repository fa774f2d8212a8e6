// The built daemon as a process of its own: its socket, and that there is one daemon only.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownDirectories } from '../support/machine/own-directories.ts';

const program = join(import.meta.dirname, '..', '..', 'dist', 'bangerd.cjs');

/** Directories of its own, and a way to start daemons on them, which are ended after the test. */
function place(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  const env = ownDirectories(directory);
  const socket = join(directory, 'run', 'bangerd.sock');
  const daemons: ChildProcess[] = [];
  t.after(async () => {
    for (const daemon of daemons) await end(daemon, 'SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  const start = async (): Promise<ChildProcess> => {
    const daemon = spawn(process.execPath, [program], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    daemons.push(daemon);
    for await (const line of daemon.stderr.iterator({ destroyOnReturn: false })) if (String(line).includes('"msg":"listening"')) break;
    daemon.stderr.resume();
    return daemon;
  };
  return { directory, env, socket, daemons, start };
}

test('bangerd answers --help, --version and unknown words without starting a daemon (1.7)', (t) => {
  const { directory, env } = place(t);
  const launcher = join(import.meta.dirname, '..', '..', 'bin', 'bangerd');
  const ask = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(launcher, words, { env, encoding: 'utf8', timeout: 20_000 });
    return { status, stdout, stderr };
  };
  for (const word of ['--help', '-h', 'help']) assert.match(ask(word).stdout, /^Usage: bangerd \[options\]\n/, word);
  for (const word of ['--version', '-V']) assert.match(ask(word).stdout, /^\d+\.\d+\.\d+\n$/, word);
  assert.deepEqual(ask('--foreground'), {
    ...{ status: 2, stdout: '' },
    stderr: 'bangerd: it takes no arguments, and "--foreground" is one\n  try: bangerd --help\n',
  });
  assert.ok(!existsSync(join(directory, 'run')), 'nothing was made');
});

test('the socket is private and speaks to curl; a second daemon is refused, a dead one is replaced (1.1, 1.2)', async (t) => {
  const { directory, env, socket, start } = place(t);
  // Open to everybody, as a careless umask makes it.
  mkdirSync(join(directory, 'run'));
  chmodSync(join(directory, 'run'), 0o777);

  const first = await start();
  assert.equal(statSync(join(directory, 'run')).mode & 0o777, 0o700);
  const curl = execFileSync('curl', ['--silent', '--unix-socket', socket, 'http://localhost/v1/daemon'], { encoding: 'utf8' });
  assert.equal((JSON.parse(curl) as { pid: number }).pid, first.pid);

  const second = spawnSync(process.execPath, [program], { env, encoding: 'utf8' });
  assert.equal(second.status, 75);
  assert.match(second.stderr, /a bangerd answers on .*bangerd\.sock/);
  assert.match(second.stderr, /try: banger daemon restart/);

  await end(first, 'SIGKILL');
  assert.ok(existsSync(socket), 'a killed daemon leaves its socket');
  const third = await start();
  const again = execFileSync('curl', ['--silent', '--unix-socket', socket, 'http://localhost/v1/daemon'], { encoding: 'utf8' });
  assert.equal((JSON.parse(again) as { pid: number }).pid, third.pid);
  await end(third, 'SIGTERM');
  assert.equal(third.exitCode, 0);
  assert.ok(!existsSync(socket));
});

test('of two daemons that start on one state directory at the same moment, one serves and the other says why not (1.2, 2.3)', async (t) => {
  const { env, socket, daemons } = place(t);
  const pair = [0, 1].map(() => spawn(process.execPath, [program], { env, stdio: ['ignore', 'ignore', 'pipe'] }));
  daemons.push(...pair);
  const said = pair.map(({ stderr }) => {
    let text = '';
    stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return () => text;
  });
  t.signal.addEventListener('abort', () => console.error(said.map((text) => text())));
  const [loser] = await Promise.race(pair.map(async (daemon, at) => [at, await once(daemon, 'close')] as const));
  assert.equal(pair[loser]?.exitCode, 75);
  assert.match(said[loser]?.() ?? '', /another bangerd holds .*banger\.db|a bangerd answers on .*bangerd\.sock/);
  const winner = pair[1 - loser];
  while (!(said[1 - loser]?.() ?? '').includes('"msg":"listening"')) {
    assert.equal(winner?.exitCode, null, said[1 - loser]?.() ?? '');
    await sleep(20);
  }
  const curl = execFileSync('curl', ['--silent', '--unix-socket', socket, 'http://localhost/v1/daemon'], { encoding: 'utf8' });
  assert.equal((JSON.parse(curl) as { pid: number }).pid, winner?.pid);
});

async function end(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exited = once(daemon, 'exit');
  daemon.kill(signal);
  await exited;
}

test('started by systemd it accepts on the socket of systemd, hands it to no other program, and leaves it there (1.2, 2.6)', async (t) => {
  if (spawnSync('systemd-socket-activate', ['--version']).status !== 0) return t.skip('systemd-socket-activate is not installed');
  const { directory, env, socket, daemons } = place(t);
  mkdirSync(join(directory, 'run'), { mode: 0o700 });
  const names = Object.entries(env).map(([name, value]) => `--setenv=${name}=${value}`);
  // It listens, and becomes the daemon when somebody connects.
  const daemon = spawn('systemd-socket-activate', ['--listen', socket, ...names, process.execPath, program], { stdio: 'ignore' });
  daemons.push(daemon);
  while (!existsSync(socket)) await sleep(20);
  const get = (path: string): string =>
    execFileSync('curl', ['--silent', '--unix-socket', socket, `http://localhost${path}`], { encoding: 'utf8' });
  const status = JSON.parse(get('/v1/daemon')) as { pid: number; socketPath: string };
  assert.deepEqual([status.pid, status.socketPath], [daemon.pid, socket]);
  const flags = /^flags:\s+0(\d+)$/m.exec(readFileSync(`/proc/${daemon.pid}/fdinfo/3`, 'utf8'))?.[1] ?? '0';
  assert.equal(Number.parseInt(flags, 8) & 0o2000000, 0o2000000, 'closed in programs that the daemon starts (O_CLOEXEC)');
  const ended = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  await ended;
  assert.ok(existsSync(socket), 'the socket is not the daemon’s to remove');
});
