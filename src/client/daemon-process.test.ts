import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, startStubDaemon } from '../../test/support/daemon/stub-daemon.ts';
import { BangerError } from '../model/errors.ts';
import { daemonProgram } from './daemon-process.ts';

const FAKE_DAEMON = `${import.meta.dirname}/../../test/support/daemon/fake-daemon.ts`;
let base: string;
let env: Record<string, string>;

beforeEach(() => {
  base = mkdtempSync(`${tmpdir()}/banger-start-`);
  writeFileSync(`${base}/bangerd`, `#!/bin/sh\nexec '${process.execPath}' '${FAKE_DAEMON}'\n`, { mode: 0o755 });
  env = {
    PATH: process.env['PATH'] ?? '',
    BANGER_RUNTIME_DIR: `${base}/run`,
    BANGER_STATE_DIR: `${base}/state`,
    BANGER_DAEMON: `${base}/bangerd`,
    FAKE_STARTS: `${base}/starts`,
  };
});
afterEach(async () => {
  await runInProcess(env, ['daemon', 'stop']);
  // Everything that was started ends by itself once asked; what does not would be found here.
  for (const pid of startedPids()) for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(20);
  for (const pid of startedPids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  rmSync(base, { recursive: true });
});

function starts(): string[] {
  try {
    return readFileSync(`${base}/starts`, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}
const startedPids = (): number[] => starts().map((line) => Number(line.split(' ')[0]));

/** Ours until they are waited for: a zombie counts as gone. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('the daemon of the program is started, BANGER_DAEMON wins, none is an error (1.2)', () => {
  const only = (path: string) => (candidate: string) => candidate === path;
  assert.equal(daemonProgram('/opt/dist/banger', {}, only('/opt/bin/bangerd')), '/opt/bin/bangerd');
  assert.equal(daemonProgram('/opt/bin/banger', {}, only('/opt/bin/bangerd')), '/opt/bin/bangerd');
  assert.equal(daemonProgram('/x/dist/banger', { BANGER_DAEMON: '/y/d' }, only('/y/d')), '/y/d');
  const missing = (e: unknown) => e instanceof BangerError && e.code === 'PREREQUISITE_MISSING' && e.remedy !== undefined;
  assert.throws(() => daemonProgram('/x/dist/banger', {}, () => false), missing);
  assert.throws(() => daemonProgram('/x/dist/banger', { BANGER_DAEMON: '/y/d' }, () => false), missing);
});

test('a listing starts the daemon, in a session of its own and with closed directories (1.1, 1.2)', async () => {
  const { exitCode, stderr } = await runInProcess(env, ['vm', 'ls', '-q']);
  assert.deepEqual([exitCode, stderr], [0, '']);
  const [pid = 0] = startedPids();
  const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
  assert.equal(Number(session), pid);
  for (const path of ['run', 'state']) assert.equal(statSync(`${base}/${path}`).mode & 0o777, 0o700);
  assert.match((await runInProcess(env, ['daemon', 'start'])).stdout, new RegExp(`^running, pid ${pid}, `));
  assert.equal(starts().length, 1);
  assert.equal((await runInProcess(env, ['daemon', 'stop'])).stdout, 'stopped\n');
  assert.equal((await runInProcess(env, ['daemon', 'stop'])).stdout, 'not running\n');
});

test('the socket of a dead daemon does not keep a new one from being started (1.2)', async () => {
  await runInProcess(env, ['daemon', 'start']);
  const [pid = 0] = startedPids();
  process.kill(pid, 'SIGKILL');
  for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(20);
  assert.ok(statSync(`${base}/run/bangerd.sock`).isSocket());
  const outcome = await runInProcess(env, ['vm', 'ls']);
  assert.deepEqual([outcome.exitCode, outcome.stderr], [0, '']);
  assert.equal(starts().length, 2);
});

test('if the daemon ends while it starts, the error has its last message and its log (1.2)', async () => {
  env['FAKE_FAILURE'] = 'config.toml:3: unknown key';
  const { exitCode, stderr } = await runInProcess(env, ['vm', 'ls']);
  assert.equal(exitCode, 1);
  assert.equal(
    stderr,
    `banger: the daemon ended with status 2 while it started: config.toml:3: unknown key\n  try: read its log\n  log: ${base}/state/bangerd.log\n`,
  );
  const log = await runInProcess(env, ['daemon', 'logs']);
  assert.match(log.stdout, /unknown key/);
  env['FAKE_FAILURE'] = 'bangerd: disk I/O error\nError: disk I/O error\n    at main (/x/bangerd.app:330:3951)';
  assert.match(
    (await runInProcess(env, ['vm', 'ls'])).stderr,
    /^banger: the daemon ended with status 2 while it started: disk I\/O error\n/,
  );
  env['FAKE_FAILURE'] = 'bangerd: config.toml:3: defualts: unknown key\n  try: edit line 3 of config.toml';
  assert.equal(
    (await runInProcess(env, ['vm', 'ls'])).stderr,
    `banger: the daemon ended with status 2 while it started: config.toml:3: defualts: unknown key\n  try: edit line 3 of config.toml\n  log: ${base}/state/bangerd.log\n`,
  );
});

test('of several that start a daemon at once one wins, however long it takes to listen, and the others wait for it (1.2, 2.1)', async () => {
  Object.assign(env, { FAKE_LOCK: `${base}/lock`, FAKE_DELAY_MS: '4000' });
  const outcomes = await Promise.all([0, 1, 2].map(() => runInProcess(env, ['vm', 'ls', '-q'])));
  assert.deepEqual(
    outcomes.map(({ exitCode, stderr }) => [exitCode, stderr]),
    [0, 1, 2].map(() => [0, '']),
  );
  // One that finds another there ends, which may take it a moment.
  for (let i = 0; i < 500 && startedPids().filter(isAlive).length > 1; i++) await sleep(20);
  assert.equal(startedPids().filter(isAlive).length, 1);
});

test('when the daemon that was quicker dies before it listens, the next takes its place (1.2)', async () => {
  Object.assign(env, { FAKE_LOCK: `${base}/lock`, FAKE_DELAY_MS: '500', FAKE_DEATH: `${base}/death` });
  const outcomes = await Promise.all([0, 1].map(() => runInProcess(env, ['vm', 'ls', '-q'])));
  assert.deepEqual(
    outcomes.map(({ exitCode, stderr }) => [exitCode, stderr]),
    [0, 1].map(() => [0, '']),
  );
});

test('BANGER_NO_AUTOSTART keeps the daemon from being started, status never starts it (1.2)', async () => {
  assert.equal((await runInProcess({ ...env, BANGER_NO_AUTOSTART: '1' }, ['vm', 'ls'])).exitCode, 1);
  assert.equal((await runInProcess(env, ['daemon', 'status'])).exitCode, 1);
  assert.match((await runInProcess(env, ['version'])).stdout, /daemon {2}not running/);
  assert.deepEqual(starts(), []);
});

test('a daemon of another build is replaced once, before anything that changes something reaches it (1.3)', async () => {
  await runInProcess({ ...env, FAKE_BUILD: 'older' }, ['daemon', 'start']);
  const { exitCode, stderr } = await runInProcess(env, ['vm', 'stop', '--all']);
  assert.deepEqual([exitCode, stderr], [0, '']);
  assert.deepEqual(
    starts().map((line) => line.split(' ')[1]),
    ['older', 'dev'],
  );
  await runInProcess(env, ['vm', 'create', '--name', 'web']);
  assert.equal(starts().length, 2);
});

test('a daemon of another build with open sessions continues, and every command says which build and until when (1.3)', async () => {
  const sessions = ['vm exec: make test', 'vm ssh', 'a\u001b[2J', 'vm cp', 'vm logs -f', 'vm ssh'].map((what) => ({
    vm: 'web',
    what,
    since: '',
  }));
  await runInProcess({ ...env, FAKE_BUILD: 'older', FAKE_SESSIONS: JSON.stringify(sessions) }, ['daemon', 'start']);
  for (const words of [
    ['vm', 'ls', '-q'],
    ['vm', 'stop', '--all'],
  ]) {
    const { exitCode, stderr } = await runInProcess(env, words);
    assert.equal(exitCode, 0);
    assert.match(
      stderr,
      /^banger: the daemon is build older, .* it is replaced when this is over: vm exec: make test \(web\), vm ssh \(web\), .* and 1 more /,
    );
    assert.equal(stderr.includes('\u001b'), false);
  }
  for (const verb of ['stop', 'restart']) {
    const { exitCode, stderr } = await runInProcess(env, ['daemon', verb]);
    assert.equal(exitCode, 1);
    assert.match(stderr, new RegExp(`ends open sessions: vm exec: make test \\(web\\).*\n  try: banger daemon ${verb} --yes`));
  }
  assert.equal(starts().length, 1);
  assert.equal((await runInProcess(env, ['daemon', 'restart', '--yes'])).exitCode, 0);
  assert.equal(starts().length, 2);
});

test('without leave to restart it, a daemon of another build is only named (1.3)', async () => {
  const stub = await startStubDaemon({ build: 'other', routes: { 'GET /v1/vms': answer([]) } });
  try {
    const { exitCode, stderr } = await runInProcess(stub.env, ['vm', 'ls', '-q']);
    assert.deepEqual([exitCode, stderr], [0, 'banger: the daemon is build other, this program is build dev\n']);
  } finally {
    await stub.close();
  }
});

test('a runtime directory that is no directory is refused and nothing is started (1.1)', async () => {
  writeFileSync(`${base}/file`, '');
  const { exitCode, stderr } = await runInProcess({ ...env, BANGER_RUNTIME_DIR: `${base}/file` }, ['vm', 'ls']);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^banger: /);
  assert.deepEqual(starts(), []);
});
