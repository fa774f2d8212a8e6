// The helper as far as it goes without device-mapper: who may ask, what is understood, files by claims, the record. As root;
// what it makes is below a directory of the test's own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { converseWithRoot, type LineReply } from '../../../src/lib/line-protocol.ts';

const PROGRAM = process.env['BANGER_HELPER'] ?? '';
const USER = 54_321;
const OTHER = 54_322;
/** Whom the settings do not allow, as nobody above. */
const STRANGER = 54_323;
const ID = '0123abcd';
const MIB = 1024 ** 2;

let directory = '';
let socketPath = '';
let helper: ChildProcess | undefined;
let log = '';

const SKIP = process.getuid?.() === 0 ? false : 'the helper is a program of root; `make lab` tests it too';

async function start(env: Record<string, string> = {}): Promise<void> {
  await stop();
  const argv = ['serve', socketPath, join(directory, 'run'), join(directory, 'settings')];
  helper = spawn(PROGRAM, argv, { stdio: ['ignore', 'ignore', 'pipe'], env });
  log = '';
  helper.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  while (!existsSync(socketPath)) {
    assert.equal(helper.exitCode, null, `the helper does not start: ${log}`);
    await sleep(5);
  }
}

async function stop(): Promise<void> {
  if (helper === undefined) return;
  const ended = new Promise((resolve) => helper?.on('exit', resolve));
  const isOver = helper.exitCode !== null || helper.signalCode !== null;
  helper.kill('SIGTERM');
  if (!isOver) assert.equal(await ended, 0, log);
  helper = undefined;
}

const ask = async (request: string): Promise<LineReply> => (await converseWithRoot(socketPath, [request], 10_000))[0] ?? assert.fail();

/** Asks as another user: the peer is who connected, so a process of that user must do it. */
async function askAs(uid: number, ...requests: string[]): Promise<LineReply[]> {
  const program = `import { converseWithRoot } from ${JSON.stringify(join(import.meta.dirname, '../../../src/lib/line-protocol.ts'))};
    process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});
    console.log(JSON.stringify(await converseWithRoot(${JSON.stringify(socketPath)}, ${JSON.stringify(requests)}, 10000)));`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
  return JSON.parse(text) as LineReply[];
}

/** Opens connections as a user and says nothing. @returns when the helper has them; `ended` when it has closed them all */
async function hold(uid: number, count: number): Promise<{ ended: Promise<unknown> }> {
  const program = `const { connect } = require('node:net');
    process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});
    let tried = 0;
    const done = () => ++tried === ${count} && console.log('open');
    for (let i = 0; i < ${count}; i++) connect(${JSON.stringify(socketPath)}, done).on('error', done).resume();`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { ended };
}

const refused = (errno: string, text: string): LineReply => ({ ok: false, errno, text });
const CLAIMS = (uid: number): string => join(directory, 'run/users', String(uid));

/** Puts a user's claims of ID in place. */
function claim(uid: number, links: Record<string, string>): void {
  const place = join(CLAIMS(uid), ID);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(place, name));
}

function file(name: string, owner: number, options: { mode?: number; size?: number } = {}): string {
  const path = join(directory, name);
  writeFileSync(path, Buffer.alloc(options.size ?? MIB));
  chownSync(path, owner, owner);
  chmodSync(path, options.mode ?? 0o600);
  return path;
}

describe('banger-helper', { skip: SKIP }, () => {
  before(() => {
    // On a file system for disks, and where another user can get to it.
    directory = mkdtempSync('/var/tmp/bgr-helper-');
    chmodSync(directory, 0o755);
    socketPath = join(directory, 'socket');
    writeFileSync(join(directory, 'settings'), `# who may\n\nallow ${USER}\n  allow\t${OTHER}\n`);
  });

  beforeEach(() => start());

  after(async () => {
    await stop();
    rmSync(directory, { recursive: true });
  });

  test('hello names the user and makes a directory for that user (6.2)', async () => {
    const [reply] = await askAs(USER, 'hello');
    assert.ok(reply?.ok);
    assert.equal(reply.lines[0], `hello version=1 uid=${USER} directory=${CLAIMS(USER)}`);
    assert.match(reply.lines[1] ?? '', /^overlay (device-mapper=4\.\d+\.\d+|missing=.+)$/);
    const made = statSync(CLAIMS(USER));
    assert.deepEqual([made.uid, made.mode & 0o777], [USER, 0o700]);
    assert.equal((await askAs(USER, 'hello'))[0]?.ok, true, 'a second time');
  });

  test('users who are not in the settings are refused with that reason (9.4)', async () => {
    assert.deepEqual(await askAs(OTHER + 1, 'hello'), [refused('ECONNREFUSED', 'this user may not use banger-helper')]);
    chmodSync(join(directory, 'settings'), 0o666);
    assert.deepEqual(await askAs(USER, 'hello'), [refused('ECONNREFUSED', "the helper's settings cannot be used")]);
    chmodSync(join(directory, 'settings'), 0o644);
    assert.equal((await askAs(OTHER, 'hello'))[0]?.ok, true, 'settings are read for each connection');
  });

  test('a malformed request is refused, and the connection stays open (9.4)', async () => {
    const wrong = [
      '',
      'nothing',
      'hello you',
      'overlay',
      'overlay attach',
      `overlay attach ${ID}`,
      `overlay attach ${ID} 1 2`,
      'x '.repeat(20),
    ];
    const ids = ['0123ABCD', '0123abc', '0123abcde', '../..', '0123abc/'];
    const sizes = ['-1', '1e3', '0x10', '99999999999999999999', '18446744073709551615', '1 '];
    const requests = [...wrong, ...ids.map((id) => `overlay detach ${id}`), ...sizes.map((size) => `overlay attach ${ID} ${size.trim()}x`)];
    const replies = await converseWithRoot(socketPath, [...requests, 'list'], 10_000);
    for (const [index, request] of requests.entries())
      assert.deepEqual(replies[index]?.ok === false && replies[index].errno, 'EINVAL', request);
    assert.equal(replies.at(-1)?.ok, true);
  });

  test('a line that does not end, a zero byte and a flood end their connection alone (9.4)', async () => {
    for (const bytes of ['x'.repeat(300), 'hello\0\n', 'x'.repeat(1_000_000)]) {
      const said = await new Promise<string>((resolve) => {
        let text = '';
        const socket = connect(socketPath, () => socket.write(bytes));
        socket.on('data', (chunk) => (text += String(chunk))).on('error', () => undefined);
        socket.on('close', () => resolve(text));
      });
      assert.equal(said, '');
    }
    assert.equal((await ask('list')).ok, true);
  });

  test('idle connections of users without permission take no place from others, and end by themselves (9.4, 12.8)', async () => {
    const refused = await Promise.all([0, 1, 2, 3, 4].map((n) => hold(STRANGER + n, 40)));
    for (const uid of [0, USER]) assert.equal((await askAs(uid, 'hello'))[0]?.ok, true, String(uid));
    assert.deepEqual(await askAs(STRANGER, 'hello'), [{ ok: false, errno: 'ECONNREFUSED', text: 'this user may not use banger-helper' }]);
    await Promise.all(refused.map(({ ended }) => ended));
  });

  test('users with idle connections leave room for each other, for root and for themselves, and idle ones end (9.4, 12.8)', async () => {
    const held = [await hold(USER, 80), await hold(OTHER, 80), await hold(0, 40)];
    for (const uid of [USER, OTHER, 0]) assert.equal((await askAs(uid, 'hello'))[0]?.ok, true, String(uid));
    await Promise.all(held.map(({ ended }) => ended));
  });

  test('each request is one line of the log, with the user and without control characters (9.1)', async () => {
    await converseWithRoot(socketPath, ['list', 'evil \u001b[31m'], 10_000);
    await stop();
    assert.match(log, /^uid=0 list: ok, \d+ ms\nuid=0 evil \?\[31m: EINVAL there is no such request, \d+ ms\n$/);
  });

  test('claims are opened with the rights of the requesting user, and only regular files on disks are accepted (9.4)', async () => {
    await askAs(USER, 'hello');
    const [base, cow, secret] = [file('base', 0, { mode: 0o644 }), file('cow', USER), file('secret', 0)];
    const fifo = join(directory, 'fifo');
    await new Promise((resolve) => spawn('mkfifo', ['-m', '666', fifo]).on('close', resolve));
    mkdirSync(join(directory, 'folder'), { recursive: true });
    const attach = `overlay attach ${ID} ${8 * MIB}`;
    const cases: [Record<string, string>, LineReply][] = [
      [{}, refused('ENOENT', 'No such file or directory')],
      [{ base: secret, cow }, refused('EACCES', 'Permission denied')],
      [{ base, cow: secret }, refused('EACCES', 'Permission denied')],
      [{ base, cow: file('lent', 0, { mode: 0o666 }) }, refused('EPERM', 'cow does not belong to the user')],
      [{ base: fifo, cow }, refused('EINVAL', 'base is not a regular file')],
      [{ base: join(directory, 'folder'), cow }, refused('EINVAL', 'base is not a regular file')],
      [{ base: '/dev/zero', cow }, refused('EINVAL', 'base is not a regular file')],
      [{ base: '/proc/self/fd/3', cow }, refused('ELOOP', 'Symbolic link loop')],
      [{ base: '/proc/self/status', cow }, refused('ENOTSUP', 'base is on no file system for disks')],
      [{ base: join(CLAIMS(USER), ID, 'base'), cow }, refused('ELOOP', 'Symbolic link loop')],
      [{ base: file('empty', USER, { size: 0 }), cow }, refused('EINVAL', "sizes are multiples of 4096, a base's of 512")],
      [{ base: file('large', USER, { size: 16 * MIB }), cow }, refused('EINVAL', 'the overlay is smaller than its base')],
    ];
    for (const [links, expected] of cases) {
      claim(USER, links);
      const [reply] = await askAs(USER, attach);
      // The C libraries differ in the words for one errno.
      if (expected.ok === false && expected.errno === 'ELOOP') assert.equal(reply?.ok === false && reply.errno, 'ELOOP');
      else assert.deepEqual(reply, expected, JSON.stringify(links));
    }
    assert.equal(statSync(cow).size, MIB, 'a file of the user has grown for nothing');
    assert.equal(existsSync(join(directory, 'run/record')), false, 'something was recorded');
  });

  test('a user neither sees nor changes the objects of another, and only its own objects count for its limit (9.4)', async () => {
    const lines = Array.from({ length: 64 }, (_, n) => `overlay ${USER} ${(0xa0000000 + n).toString(16)} bytes=4096 base=-1 cow=-1`);
    await stop();
    writeFileSync(join(directory, 'run/record'), `${[...lines, 'nonsense', `future ${OTHER} - a=b c`].join('\n')}\n`);
    await start();
    const count = (reply: LineReply | undefined): number =>
      reply?.ok === true ? reply.lines.filter((line) => line.startsWith('overlay ')).length : -1;
    assert.equal(count((await askAs(USER, 'list'))[0]), 64);
    assert.match(log, /holds a line that means nothing/);
    const [theirs, status, detach] = await askAs(OTHER, 'list', 'overlay status a0000000', 'overlay detach a0000000');
    assert.equal(count(theirs), 0);
    assert.deepEqual(status, refused('EPERM', 'overlay a0000000 belongs to another user'));
    assert.deepEqual(detach, refused('EPERM', 'overlay a0000000 belongs to another user'));
    claim(USER, { base: file('base', USER), cow: file('cow', USER) });
    assert.deepEqual(await askAs(USER, `overlay attach ${ID} ${8 * MIB}`), [refused('EDQUOT', 'a user may have 64 of overlay')]);
    // Nothing of them exists, so letting go of them is but a matter of the record.
    assert.equal(
      (await converseWithRoot(socketPath, ['list', ...lines.map((line) => `overlay detach ${line.split(' ')[2]}`)], 10_000)).length,
      65,
    );
    assert.equal(readFileSync(join(directory, 'run/record'), 'utf8'), `future ${OTHER} - a=b c\n`);
    rmSync(join(directory, 'run/record'));
  });
});
