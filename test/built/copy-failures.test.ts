// `vm cp` when a side fails or changes: it ends at once, names the file, and leaves nothing that looks whole.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { copyLine, createRate } from '../../src/cli/copy-progress.ts';
import { createCopyTalk } from '../../src/client/copy-talk.ts';
import { useCopyStub } from '../support/guest/copy-stub.ts';
import { COPY_PROGRAM } from '../support/guest/stub-guest.ts';

const stub = useCopyStub();

/** Nobody, for whom modes count, when the tests run as root. */
const someone = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

test('a file that cannot be read ends the copy with its name, at either end (11.10)', async () => {
  const { base } = stub();
  mkdirSync(`${base}/host/d`);
  for (const name of ['a', 'closed', 'z']) writeFileSync(`${base}/host/d/${name}`, name);
  chmodSync(base, 0o755);
  chmodSync(`${base}/host/d/closed`, 0);
  const sent = spawnSync(COPY_PROGRAM, ['send', `--from=${base}/host/d`, '--name=d'], someone);
  assert.equal(sent.status, 1);
  assert.match(sent.stderr.toString(), new RegExp(`^error 13 ${base}/host/d/closed: it cannot be opened: Permission denied$`, 'm'));
  const received = spawnSync(COPY_PROGRAM, ['receive', `--to=${base}/guest/d`, '--name=d'], { input: sent.stdout });
  assert.equal(received.status, 1, 'the other end sees that it is not all');
  assert.match(received.stderr.toString(), /^error 74 the copy ended early$/m);
});

test('an error of the guest is the error of the copy, in both directions (11.10)', async () => {
  const { base, cp } = stub();
  writeFileSync(`${base}/host/big`, Buffer.alloc(3_000_000));
  const into = await cp([`${base}/host/big`, 'web:/proc/nowhere']);
  assert.equal(into.exitCode, 1);
  assert.match(into.stderr, /^banger: in web: \/proc\/nowhere: /);
  const out = await cp(['web:/proc/self/mem', `${base}/host/x`]);
  assert.equal(out.exitCode, 1);
  assert.match(out.stderr, /^banger: in web: \/proc\/self\/mem: it cannot be read: /);
  assert.deepEqual(readdirSync(`${base}/host`), ['big']);
  const pattern = await cp([`web:${base}/guest/*`, `${base}/host`]);
  assert.match(pattern.stderr, /guest\/\*: No such file or directory\n {2}try: no shell expands patterns in the guest/);
  const full = await cp([`${base}/host/big`, 'web:/dev/full']);
  assert.match(full.stderr, /No space left on device\n {2}try: banger vm exec web -- df -h/);
});

test('an error of this host says what kind it is (11.10)', async () => {
  const { base, cp } = stub();
  writeFileSync(`${base}/guest/big`, Buffer.alloc(3_000_000));
  assert.equal((await cp([`${base}/host/none`, `web:${base}/guest`])).exitCode, 3);
  const missing = await cp([`web:${base}/guest/big`, `${base}/host/no/such`]);
  assert.deepEqual(
    [missing.exitCode, missing.stderr.split('\n')[0]],
    [3, `banger: ${base}/host/no: there is no such directory to copy into`],
  );
  const full = await cp([`web:${base}/guest/big`, '/dev/full']);
  assert.equal(full.exitCode, 1);
  assert.match(full.stderr, /^banger: \/dev\/full: it cannot be written: No space left on device/);
});

test('a guest that ends in the middle, or says nothing of use, ends the copy (11.10)', async () => {
  const it = stub();
  const { base, cp } = it;
  writeFileSync(`${base}/guest/f`, Buffer.alloc(2_000_000, 'f'));
  it.guestArgv = ['sh', '-c', `${COPY_PROGRAM} send --from=${base}/guest/f --name=f | head -c 100000; kill -9 $$`];
  const out = await cp([`web:${base}/guest/f`, `${base}/host/f`]);
  assert.equal(out.exitCode, 1);
  assert.match(out.stderr, /^banger: the copy in web failed \(status \d+\)/);
  assert.deepEqual(readdirSync(`${base}/host`), []);
  it.guestArgv = ['sh', '-c', 'echo "usage: banger-agent [--version | --serve-fd N]" >&2; exit 2'];
  const old = await cp([`web:${base}/guest/f`, `${base}/host/f`]);
  assert.match(old.stderr, /web has the guest agent of an older banger, which cannot copy\n {2}try: banger vm restart web/);
  const oldIn = await cp([`${base}/guest/f`, `web:${base}/guest/g`]);
  assert.match(oldIn.stderr, /older banger/);
});

test('a file that grows, shrinks or vanishes during the copy is no failure, and is reported (11.10)', async () => {
  const { base, cp } = stub();
  mkdirSync(`${base}/guest/log`);
  writeFileSync(`${base}/guest/log/a`, Buffer.alloc(200_000, 'a'));
  writeFileSync(`${base}/guest/log/b`, Buffer.alloc(40_000_000, 'b'));
  writeFileSync(`${base}/guest/log/c`, 'c');
  // A receiver that begins late: the sender stands still in the large file until then.
  const fifo = `${base}/go`;
  execFileSync('mkfifo', [fifo]);
  const it = stub();
  it.guestArgv = ['sh', '-c', `${COPY_PROGRAM} send --from=${base}/guest/log --name=log | { head -c 1000000; cat ${fifo}; cat; }`];
  const copied = cp([`web:${base}/guest/log`, `${base}/host`]);
  const change = `exec 3>${fifo}; truncate -s 10000000 ${base}/guest/log/b; rm ${base}/guest/log/c`;
  await promisify(execFile)('sh', ['-c', change]);
  const { exitCode, stderr } = await copied;
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /guest\/log\/b: it became shorter while it was read/);
  assert.deepEqual(readdirSync(`${base}/host/log`), ['a', 'b']);
  assert.equal(readFileSync(`${base}/host/log/b`).indexOf(0), -1, 'nothing is made up');
  assert.ok(statSync(`${base}/host/log/b`).size >= 10_000_000);
});

test('an existing file keeps owner, mode and its other names (11.10)', async () => {
  const { base, cp } = stub();
  writeFileSync(`${base}/host/f`, 'new', { mode: 0o755 });
  writeFileSync(`${base}/guest/f`, 'old');
  chmodSync(`${base}/guest/f`, 0o640);
  linkSync(`${base}/guest/f`, `${base}/guest/other`);
  symlinkSync('f', `${base}/guest/link`);
  if (process.getuid?.() === 0) execFileSync('chown', ['1234:5', `${base}/guest/f`]);
  const before = lstatSync(`${base}/guest/f`);
  assert.equal((await cp([`${base}/host/f`, `web:${base}/guest/link`])).exitCode, 0);
  const after = lstatSync(`${base}/guest/f`);
  assert.equal(readFileSync(`${base}/guest/other`, 'utf8'), 'new');
  assert.deepEqual([after.mode, after.uid, after.gid, after.ino], [before.mode, before.uid, before.gid, before.ino]);
  assert.equal(after.mtimeMs, lstatSync(`${base}/host/f`).mtimeMs);
  // With one name only, it is replaced when the copy is whole.
  writeFileSync(`${base}/guest/single`, 'old', { mode: 0o600 });
  assert.equal((await cp([`${base}/host/f`, `web:${base}/guest/single`])).exitCode, 0);
  assert.equal(statSync(`${base}/guest/single`).mode & 0o777, 0o600);
});

test(
  '--archive keeps numbers of owners and setuid bits (11.10)',
  { skip: process.getuid?.() !== 0 && 'only root gives files away' },
  async () => {
    const { base, cp } = stub();
    mkdirSync(`${base}/host/d`);
    writeFileSync(`${base}/host/d/f`, 'x');
    execFileSync('sh', ['-c', `chown 1234:4321 ${base}/host/d ${base}/host/d/f; chmod 4750 ${base}/host/d/f; chmod 2770 ${base}/host/d`]);
    assert.equal((await cp(['-a', `${base}/host/d`, `web:${base}/guest`])).exitCode, 0);
    assert.equal((await cp([`${base}/host/d`, `web:${base}/guest/plain`])).exitCode, 0);
    const seen = execFileSync('stat', ['-c', '%u:%g %a', 'd', 'd/f', 'plain', 'plain/f'], { cwd: `${base}/guest`, encoding: 'utf8' });
    assert.equal(seen, '1234:4321 2770\n1234:4321 4750\n0:0 770\n0:0 750\n');
    // As with cp -a, a file that was there becomes like the source; links have owners, too.
    execFileSync('sh', ['-c', `cd ${base}/host/d; ln -s f l; chown -h 12:34 l; cd ../../guest/d; chown 0:0 . f; chmod 600 f`]);
    assert.equal((await cp(['-a', `${base}/host/d/.`, `web:${base}/guest/d`])).exitCode, 0);
    const again = execFileSync('stat', ['-c', '%u:%g %a', '.', 'f', 'l'], { cwd: `${base}/guest/d`, encoding: 'utf8' });
    assert.equal(again, '0:0 2770\n1234:4321 4750\n12:34 777\n');
  },
);

test('a name on the command line that is no UTF-8 is used as it was typed (11.10)', async () => {
  const { base, daemon } = stub();
  writeFileSync(Buffer.concat([Buffer.from(`${base}/host/caf`), Buffer.from([0xe9])]), 'x');
  const banger = join(import.meta.dirname, '../../bin/banger');
  const script = `exec ${banger} vm cp "$(printf 'caf\\351')" "web:${base}/guest/$(printf 'caf\\352')"`;
  await promisify(execFile)('sh', ['-c', script], { cwd: `${base}/host`, env: { ...process.env, ...daemon.env } });
  assert.deepEqual(readdirSync(`${base}/guest`, 'buffer'), [Buffer.from([0x63, 0x61, 0x66, 0xea])]);
});

test("a guest's messages are shown without terminal control characters, and bounded (7.2)", () => {
  const notes: string[] = [];
  const talk = createCopyTalk({ note: (text) => void notes.push(text) });
  for (let i = 0; i < 1000; i++) talk.take(Buffer.from(`note \u001b[31mred ${i}\n`));
  talk.take(Buffer.from(`error 5 a\u0007b\n`));
  talk.take(Buffer.alloc(1_000_000, 'x'));
  assert.equal(notes.length, 21);
  assert.equal(notes[0], '\\x1b[31mred 0');
  assert.deepEqual(talk.error(), { errno: 5, text: 'a\\x07b' });
  assert.ok(talk.rest().length <= 500);
});

test('a long copy is shown with a bar, how much went and how fast, in one line (3.3)', () => {
  const state = { name: './src', movedBytes: 50 * 1024 ** 2, totalBytes: 200 * 1024 ** 2, bytesPerSecond: 10 * 1024 ** 2 };
  assert.equal(copyLine(state, 80), './src  [######..................] 25%  50 MiB  10 MiB/s');
  assert.equal(copyLine({ ...state, totalBytes: undefined }, 80), './src  50 MiB  10 MiB/s');
  assert.equal(copyLine(state, 52), '[######..................] 25%  50 MiB  10 MiB/s');
  assert.equal(copyLine(state, 40), '25%  50 MiB  10 MiB/s');
  for (const columns of [1, 20, 40, 60]) assert.ok(copyLine({ ...state, name: 'n'.repeat(100) }, columns).length < columns);
});

test('the rate of a copy is that of its last seconds (3.3)', () => {
  const rate = createRate();
  assert.equal(rate(0, 0), 0);
  for (let second = 1; second <= 20; second++) assert.equal(rate(second * 1000, second * 1000), 1000);
  for (let second = 21; second <= 25; second++) rate(20_000, second * 1000);
  assert.equal(rate(20_000, 26_000), 0, 'it stands still');
});
