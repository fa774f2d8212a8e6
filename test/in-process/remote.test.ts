// Commands that go to another machine's daemon: a stand-in for ssh leads to the daemon of the test, or fails as ssh does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createCli } from '../../src/cli/cli.ts';
import { GREETING, openSshStream } from '../../src/client/remote-process.ts';
import type { BangerError } from '../../src/model/errors.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { daemonFor } from '../support/daemon/test-daemon.ts';
import type { TestWorld } from '../support/daemon/test-world.ts';

/** @returns an environment of another machine's user, whose `ssh` is this script; its arguments are kept in a file */
function elsewhere(world: TestWorld, script: string) {
  const home = join(world.directory, 'elsewhere');
  mkdirSync(join(home, 'bin'), { recursive: true });
  writeFileSync(join(home, 'bin/ssh'), `#!/bin/sh\nprintf '%s\\n' "$@" >"${home}/argv"\n${script}\n`, { mode: 0o755 });
  return {
    PATH: `${home}/bin:/usr/bin:/bin`,
    HOME: home,
    BANGER_CONFIG: join(home, 'config/config.toml'),
    BANGER_STATE_DIR: join(home, 'state'),
    BANGER_RUNTIME_DIR: join(home, 'run'),
  };
}

function cliOf(env: Record<string, string>) {
  const stream = new PassThrough();
  return createCli({ env, stdin: stream, stdout: stream, stderr: stream, programPath: '/x' });
}

const toDaemon = (world: TestWorld): string => `exec socat - UNIX-CONNECT:${world.directories.socketPath}`;

test('BANGER_HOST=ssh:// runs the same commands against another daemon, with streams (2.1)', async (t) => {
  const { world } = await daemonFor(t);
  const env = { ...elsewhere(world, toDaemon(world)), BANGER_HOST: 'ssh://dev@lab:2222' };
  const run = (...argv: string[]) => runInProcess(env, argv);
  const created = await run('vm', 'create', '--name', 'web', '--progress', 'plain');
  assert.equal(created.exitCode, 0, created.stderr);
  assert.match(created.stderr, /✓ boot/);
  assert.equal((await run('vm', 'list', '-q')).stdout, 'web\n');
  const argv = readFileSync(join(env.HOME, 'argv'), 'utf8').split('\n');
  assert.deepEqual(argv.slice(argv.indexOf('-T')), [
    '-T',
    '-p',
    '2222',
    '-l',
    'dev',
    '--',
    'lab',
    'env BANGER_HOST=local BANGER_GREETING=1 banger internal dial-stdio',
    '',
  ]);
  const echoed = await runInProcess(env, ['vm', 'exec', '-i', 'web', '--', 'cat'], { stdin: 'x'.repeat(300_000) });
  assert.deepEqual([echoed.exitCode, echoed.stdout.length], [0, 300_000], echoed.stderr);
  assert.equal((await run('vm', 'delete', '--force', 'web')).exitCode, 0);
  assert.ok(!existsSync(join(env.HOME, 'run')), 'no daemon was started here');
});

test('BANGER_HOST=unix:// uses another socket and never starts its daemon (2.1)', async (t) => {
  const { world } = await daemonFor(t);
  const env = elsewhere(world, 'exit 1');
  const there = await runInProcess({ ...env, BANGER_HOST: `unix://${world.directories.socketPath}` }, ['vm', 'list', '-q']);
  assert.deepEqual([there.exitCode, there.stdout], [0, '']);
  const absent = await runInProcess({ ...env, BANGER_HOST: `unix://${world.directory}/none.sock` }, ['vm', 'list']);
  assert.match(absent.stderr, /does not answer at .*none\.sock: it is not running/);
});

test('failures of the connection are told apart, each with a remedy (1.6)', async (t) => {
  const { world } = await daemonFor(t);
  const said = async (script: string): Promise<string> => {
    const { exitCode, stderr } = await runInProcess({ ...elsewhere(world, script), BANGER_HOST: 'ssh://lab' }, ['vm', 'list']);
    assert.equal(exitCode, 1);
    return stderr;
  };
  assert.match(
    await said('echo "ssh: connect to host lab port 22: Connection refused" >&2; exit 255'),
    /^banger: ssh did not get to ssh:\/\/lab: ssh: connect to host lab port 22: Connection refused\n {2}try: ssh -- lab true\n$/,
  );
  assert.match(
    await said('echo "env: banger: No such file or directory" >&2; exit 127'),
    /^banger: banger cannot be run at ssh:\/\/lab: env: .*\n {2}try: banger context add .*--program/,
  );
  assert.match(
    await said('echo "banger: the daemon ended with status 1 while it started" >&2; echo "  try: read its log" >&2; exit 1'),
    /^banger: banger at ssh:\/\/lab did not reach its daemon: the daemon ended with status 1 while it started\n {2}try: ssh -- lab banger daemon status\n$/,
  );
  const env = { ...elsewhere(world, ''), PATH: '/nonexistent', BANGER_HOST: 'ssh://lab' };
  assert.match(
    (await runInProcess(env, ['vm', 'list'])).stderr,
    /ssh could not be started \(ENOENT\)\n {2}try: sudo apt-get install openssh-client/,
  );
});

test('login files of the other machine may print anything before the answer (2.1)', async (t) => {
  const { world } = await daemonFor(t);
  await runInProcess(world.env, ['vm', 'create', '--name', 'web']);
  const run = (before: string, argv: readonly string[], stdin = '') =>
    runInProcess({ ...elsewhere(world, `${before}\n${toDaemon(world)}`), BANGER_HOST: 'ssh://lab' }, argv, { stdin });
  for (const noise of [
    'echo "Welcome to lab"',
    'printf "no line end"',
    "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n{}\\n'",
    "printf 'HTTP/1.1 200 OK\\r\\nServer: x\\r\\n\\r\\n'",
    "printf '\\033]0;lab\\007\\r\\n'",
    "printf '\\000\\377\\376'",
    'seq 20000',
    'echo note >&2; echo "banger-build: x"; sleep 0.1; echo more',
  ]) {
    const listed = await run(noise, ['vm', 'list', '-q']);
    assert.deepEqual([listed.exitCode, listed.stdout], [0, 'web\n'], `${noise}: ${listed.stderr}`);
  }
  const echoed = await run('echo hello; printf tail', ['vm', 'exec', '-i', 'web', '--', 'cat'], 'x'.repeat(100_000));
  assert.deepEqual([echoed.exitCode, echoed.stdout.length], [0, 100_000], echoed.stderr);
});

test('a program that prints and is not banger is reported with its line, its host and a remedy (1.6)', async (t) => {
  const { world } = await daemonFor(t);
  const said = async (script: string): Promise<string> => {
    const { exitCode, stderr } = await runInProcess({ ...elsewhere(world, script), BANGER_HOST: 'ssh://dev@lab' }, ['vm', 'list']);
    assert.equal(exitCode, 1);
    return stderr;
  };
  assert.match(
    await said('echo; echo "This account is not available."; exit 1'),
    /^banger: ssh:\/\/dev@lab answered "This account is not available\." where .*: a login file of dev there prints it, or runs another program\n {2}try: ssh -l dev -- lab banger daemon status\n$/,
  );
  assert.match(await said("printf '\\23331mred\\n'; exit 0"), /answered ".*31mred"/);
  assert.match(await said('yes'), /answered "y" where/);
  assert.match(await said('echo hello; echo "banger: no daemon program" >&2; exit 1'), /did not reach its daemon: no daemon program\n/);
  assert.match(
    await said('echo hello; echo "ssh: Connection refused" >&2; exit 255'),
    /ssh did not get to ssh:\/\/dev@lab: ssh: Connection refused\n/,
  );
});

test('a login file that prints and then waits is reported with its line before the time limit (1.6)', async (t) => {
  const { world } = await daemonFor(t);
  const home = elsewhere(world, 'echo "Press return to go on"; exec cat >/dev/null');
  const stream = openSshStream(cliOf(home), { kind: 'ssh', host: 'lab', program: 'banger' }, 50);
  const [error] = (await once(stream, 'error')) as [BangerError];
  assert.equal(error.code, 'DAEMON_UNREACHABLE');
  assert.match(
    error.message,
    /^ssh:\/\/lab answered "Press return to go on", and then nothing for 0\.05 s: a login file of the user there waits/,
  );
  assert.equal(error.remedy, 'ssh -- lab true');
});

test('once the other side has said that it is banger, its answer has no time limit (2.1)', async (t) => {
  const { world } = await daemonFor(t);
  const script = `echo welcome; read -r request; printf '${GREETING.trim()}\\n'; sleep 0.3; echo "$request"`;
  const stream = openSshStream(cliOf(elsewhere(world, script)), { kind: 'ssh', host: 'lab', program: 'banger' }, 100);
  stream.write('HTTP/1.0 of a kind\n');
  let said = '';
  for await (const chunk of stream) said += String(chunk);
  assert.equal(said, 'HTTP/1.0 of a kind\n');
});

test('vm ssh -L to another machine says where the port is, and how to get one here (2.1)', async (t) => {
  const { world } = await daemonFor(t);
  const env = { ...elsewhere(world, 'exit 0'), BANGER_HOST: 'ssh://dev@lab' };
  const { exitCode, stderr } = await runInProcess(env, ['ssh', 'web', '-N', '-L', '8080:localhost:80']);
  assert.equal(exitCode, 0, stderr);
  const here = 'ssh -N -L PORT:ADDRESS:GUESTPORT -l dev -- lab, where ADDRESS is what banger vm show web says';
  assert.equal(stderr, `-L opens its port at ssh://dev@lab, not here; for one here: ${here}\n`);
  assert.equal((await runInProcess(env, ['ssh', 'web', '-A', 'true'])).stderr, '');
});

test('vm ssh to a stopped VM does not start ssh, which would add its own message (1.6)', async (t) => {
  const { world } = await daemonFor(t);
  await runInProcess(world.env, ['vm', 'create', '--name', 'web', '--no-start']);
  const { exitCode, stderr } = await runInProcess({ ...world.env, PATH: '/nonexistent' }, ['ssh', 'web']);
  assert.deepEqual([exitCode, stderr], [125, 'banger: VM web is not running\n  try: banger vm start web\n']);
});

test('a bad address is refused, even one that ssh would take for an option (1.6)', async (t) => {
  const { world } = await daemonFor(t);
  for (const host of [
    'tcp://lab',
    'ssh://-oProxyCommand=id',
    'ssh://a b',
    'ssh://lab:0',
    'ssh://lab:x',
    'ssh://-l@lab',
    'unix://relative',
    'ssh://',
  ]) {
    const { exitCode, stderr } = await runInProcess({ ...elsewhere(world, 'touch "$HOME/ran"'), BANGER_HOST: host }, ['vm', 'list']);
    assert.equal(exitCode, 2, host);
    assert.match(stderr, /is not the address of a daemon\n {2}try: write ssh:/, host);
  }
});

test('commands about this machine say so, and name the command for the other one (1.5)', async (t) => {
  const { world } = await daemonFor(t);
  const env = { ...elsewhere(world, ''), BANGER_HOST: 'ssh://dev@lab' };
  for (const command of ['daemon start', 'daemon stop', 'daemon restart', 'daemon logs', 'ssh-config']) {
    const { exitCode, stderr } = await runInProcess(env, command.split(' '));
    assert.equal(exitCode, 1, command);
    assert.match(
      stderr,
      new RegExp(`^banger: ${command} works only on this machine, .* ssh://dev@lab\\n {2}try: ssh -l dev -- lab banger ${command}\\n$`),
    );
  }
});

test('contexts name other daemons; the current one is used unless BANGER_CONTEXT or BANGER_HOST is set (2.1)', async (t) => {
  const { world } = await daemonFor(t);
  const env = elsewhere(world, toDaemon(world));
  const run = async (argv: string[], more: Record<string, string> = {}): Promise<string> => {
    const { exitCode, stdout, stderr } = await runInProcess({ ...env, ...more }, argv);
    assert.equal(exitCode, 0, stderr);
    return stdout;
  };
  assert.equal(await run(['context', 'list', '-q']), 'local\n');
  await run(['context', 'add', 'lab', 'ssh://lab', '--program', '/opt/my banger']);
  await run(['context', 'add', 'other', `unix://${world.directories.socketPath}`]);
  assert.match(await run(['context', 'list']), /^local +yes +local$/m);
  await run(['context', 'use', 'lab']);
  assert.equal(await run(['vm', 'list', '-q']), '');
  assert.match(
    readFileSync(join(env.HOME, 'argv'), 'utf8'),
    /\nenv BANGER_HOST=local BANGER_GREETING=1 '\/opt\/my banger' internal dial-stdio\n$/,
  );
  assert.equal(statSync(join(env.HOME, 'config/contexts.json')).mode & 0o777, 0o600);
  const shown = async (more: Record<string, string> = {}) => JSON.parse(await run(['context', 'show', '-o', 'json'], more)) as object;
  assert.deepEqual(await shown(), { name: 'lab', host: 'ssh://lab', program: '/opt/my banger' });
  assert.deepEqual(await shown({ BANGER_CONTEXT: 'local' }), { name: 'local', host: 'local', program: null });
  assert.deepEqual(await shown({ BANGER_HOST: 'ssh://a@[::1]:22' }), { name: null, host: 'ssh://a@[::1]:22', program: 'banger' });
  await run(['context', 'remove', 'lab']);
  assert.deepEqual(await shown(), { name: 'local', host: 'local', program: null });

  const refuse = async (argv: string[], status: number, message: RegExp): Promise<void> => {
    const { exitCode, stderr } = await runInProcess(env, ['context', ...argv]);
    assert.deepEqual([exitCode, message.test(stderr)], [status, true], stderr);
  };
  await refuse(['add', 'other', 'ssh://lab'], 1, /there is already a context other/);
  await refuse(['add', 'local', 'ssh://lab'], 2, /is not a valid name for a context/);
  await refuse(['add', 'x', 'http://lab'], 2, /not the address of a daemon/);
  await refuse(['use', 'nobody'], 3, /there is no context "nobody"/);
  await refuse(['remove', 'local'], 2, /cannot be removed/);
  writeFileSync(join(env.HOME, 'config/contexts.json'), '{"current": 1}');
  await refuse(['list'], 2, /contexts\.json is not a list of contexts\n {2}try: rm /);
  chmodSync(join(env.HOME, 'config/contexts.json'), 0o666);
  await refuse(['list'], 2, /contexts\.json is not safe: others may write it\n {2}try: chmod go-w /);
});
