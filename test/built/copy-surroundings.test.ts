// `vm cp` and what is around it: file systems that cannot keep everything, limits, streams that fail, a VM that is busy.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { useCopyStub } from '../support/guest/copy-stub.ts';
import { COPY_PROGRAM } from '../support/guest/stub-guest.ts';

const stub = useCopyStub();
const banger = join(import.meta.dirname, '../../bin/banger');

const OTHER_BUILD = /^banger: the daemon is build dev, .*\n/;

type Ending = { code: number; stdout: string; stderr: string };

/** Runs a line of shell in which $banger is the built CLI. That the stub is no daemon of this build is left out of what it says. */
function sh(script: string): Promise<Ending> {
  const { base, daemon } = stub();
  return promisify(execFile)('sh', ['-c', script], { cwd: base, env: { ...process.env, ...daemon.env, banger } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr: stderr.replace(OTHER_BUILD, '') }),
    ({ code, stdout, stderr }: Ending) => ({ code, stdout, stderr: stderr.replace(OTHER_BUILD, '') }),
  );
}

test("where the target's file system has no hard links, each name becomes a file, with one note (11.10)", async (t) => {
  const { base, cp } = stub();
  const elsewhere = mkdtempSync('/dev/shm/banger-copy-');
  t.after(() => rmSync(elsewhere, { recursive: true }));
  assert.notEqual(statSync(elsewhere).dev, statSync(base).dev, 'two file systems');
  const script = `mkdir -p s/t; cd s; printf hi >a; truncate -s 5M a; printf end >>a; truncate -s 9M a; chmod 640 a; ln a t/b; ln a t/c; ln a d`;
  execFileSync('sh', ['-c', script], { cwd: `${base}/host` });
  symlinkSync(elsewhere, `${base}/guest/t`);
  const { exitCode, stderr } = await cp([`${base}/host/s/.`, `web:${base}/guest`]);
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /^banger: \S+\/t\/b: it cannot be another name of its file there, so it was copied once more, as may be others\n$/);
  for (const name of ['t/b', 't/c']) {
    execFileSync('cmp', [`${base}/host/s/a`, `${base}/guest/${name}`]);
    const { blocks, mode, mtimeMs } = statSync(`${base}/guest/${name}`);
    assert.deepEqual([mode & 0o777, mtimeMs, blocks < 100], [0o640, statSync(`${base}/host/s/a`).mtimeMs, true]);
  }
  assert.equal(lstatSync(`${base}/guest/d`).ino, lstatSync(`${base}/guest/a`).ino);
});

test("hard links of a file that was copied through a link of the guest are names of the link's target (11.10)", async () => {
  const { base, cp } = stub();
  execFileSync(
    'sh',
    ['-c', 'mkdir host/s guest/s; printf new >host/s/f; ln host/s/f host/s/g; printf old >guest/n; ln -s ../n guest/s/f'],
    {
      cwd: base,
    },
  );
  assert.deepEqual(await cp([`${base}/host/s`, `web:${base}/guest`]), { exitCode: 0, stdout: '', stderr: '' });
  assert.equal(readFileSync(`${base}/guest/n`, 'utf8'), 'new');
  assert.equal(lstatSync(`${base}/guest/s/g`).ino, lstatSync(`${base}/guest/n`).ino);
  // Out of a guest the link is replaced.
  execFileSync('sh', ['-c', 'mkdir host/back; printf old >host/n; ln -s ../n host/back/f; rm guest/s/f; ln guest/s/g guest/s/f'], {
    cwd: base,
  });
  assert.equal((await cp([`web:${base}/guest/s/.`, `${base}/host/back`])).exitCode, 0);
  assert.equal(readFileSync(`${base}/host/n`, 'utf8'), 'old');
  assert.equal(lstatSync(`${base}/host/back/g`).ino, lstatSync(`${base}/host/back/f`).ino);
});

test('a socket is refused by its type, and a named pipe is read to its end (11.10)', async (t) => {
  const { base, cp } = stub();
  const server = createServer().listen(`${base}/guest/socket`);
  t.after(() => server.close());
  const refused = await cp([`web:${base}/guest/socket`, `${base}/host/x`]);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /^banger: in web: \S+\/guest\/socket: it is a socket\n/);
  execFileSync('mkfifo', [`${base}/guest/pipe`]);
  const writer = promisify(execFile)('sh', ['-c', `seq 100000 >${base}/guest/pipe`]);
  assert.equal((await cp([`web:${base}/guest/pipe`, `${base}/host/x`])).exitCode, 0);
  await writer;
  assert.equal(readFileSync(`${base}/host/x`, 'utf8').split('\n').length, 100_001);
});

test('a file that grows beyond a limit is an error with its name, and is removed (11.10)', () => {
  const { base } = stub();
  mkdirSync(`${base}/guest/d`);
  writeFileSync(`${base}/guest/d/large`, Buffer.alloc(200_000));
  const sent = execFileSync(COPY_PROGRAM, ['send', `--from=${base}/guest/d`, '--name=d'], { stdio: 'pipe' });
  const script = `ulimit -f 8; exec ${COPY_PROGRAM} receive --to=${base}/host --name=d --beneath`;
  const { status, stderr } = spawnSync('sh', ['-c', script], { input: sent });
  assert.equal(status, 1, stderr.toString());
  assert.match(stderr.toString(), /^error 27 \S+\/host\/d\/large: it cannot be written: File too large$/m);
  assert.deepEqual(readdirSync(`${base}/host/d`), []);
});

test('if a signal ends the program of a copy, the error says so (11.10)', async () => {
  const it = stub();
  const { base, cp } = it;
  it.programDirectory = `${base}/programs`;
  mkdirSync(it.programDirectory);
  writeFileSync(`${it.programDirectory}/banger-copy`, '#!/bin/sh\nkill -KILL $$\n');
  chmodSync(`${it.programDirectory}/banger-copy`, 0o755);
  writeFileSync(`${base}/guest/f`, 'x');
  for (const [from, to] of [
    [`web:${base}/guest/f`, `${base}/host/f`],
    [`${base}/guest/f`, `web:${base}/guest/g`],
  ] as const) {
    const { exitCode, stderr } = await cp([from, to]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^banger: the program that copies files on this host died by SIGKILL\n {2}try: copy again/);
  }
  assert.deepEqual(readdirSync(`${base}/guest`), ['f']);
});

test('a copy that waits for a free session of the VM says so (7.2)', async () => {
  const it = stub();
  const { base, cp } = it;
  it.sessionsBefore = 12;
  writeFileSync(`${base}/guest/f`, 'x');
  for (const words of [
    [`web:${base}/guest/f`, `${base}/host/f`],
    [`${base}/host/f`, `web:${base}/guest/g`],
  ]) {
    const { exitCode, stderr } = await cp(words);
    assert.deepEqual([exitCode, stderr], [0, 'banger: web has 12 open sessions, the most it can have: waiting for one to end\n']);
  }
});

test('a directory as stdin is an error, not an empty file (11.10)', async () => {
  const { base } = stub();
  const copied = await sh(`$banger vm cp - web:${base}/guest/n < /`);
  assert.deepEqual([copied.code, copied.stderr], [1, 'banger: the input cannot be read: it is a directory\n']);
  assert.deepEqual(readdirSync(`${base}/guest`), []);
  const ran = await sh('$banger vm exec web -- cat < /');
  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [125, '', 'banger: the input cannot be read: it is a directory\n']);
});

test('an output that takes no more is an error in one line (11.10)', async () => {
  const { base } = stub();
  writeFileSync(`${base}/guest/f`, Buffer.alloc(300_000));
  for (const words of [`vm cp web:${base}/guest/f -`, `vm exec web -- cat ${base}/guest/f`, 'help exit-codes']) {
    const { code, stderr } = await sh(`$banger ${words} >/dev/full`);
    assert.deepEqual([code, stderr], [1, 'banger: the output cannot be written: the disk is full\n'], words);
  }
  assert.equal((await sh('$banger help exit-codes >/dev/full 2>/dev/full')).code, 1);
});

test('a directory that goes to stdout is an archive from which tar has all back: names, times, modes, holes, attributes (11.10)', async () => {
  const { base } = stub();
  const tell = `find . -mindepth 1 -printf '%p %m %T@ %s %b %n %l\\n' | sort; getfattr -h -e hex -d -m user old`;
  const script = `mkdir -p t/sub; cd t; printf 1 >"$(printf 'caf\\351')"; printf 2 >"$(printf 'caf\\352')"; ln -s "$(printf 'x\\351')" l
    touch -d '1960-01-02 03:04:05.6789 UTC' old; touch -d '1969-12-31 23:59:59.25 UTC' near; touch -d '2300-01-01 00:00:00.5 UTC' late; ln old hard
    truncate -s 10G holes; printf end | dd of=holes bs=1 seek=9000000000 conv=notrunc status=none; chmod 640 late; touch -d 1950-01-01 sub
    setfattr -n user.k -v 0x0a00ff3d old; ${tell}`;
  const before = execFileSync('sh', ['-c', script], { cwd: `${base}/guest`, encoding: 'latin1' });
  const { code, stderr } = await sh(
    `mkdir out; "$banger" vm cp web:${base}/guest/t - | tar --warning=no-timestamp --xattrs -C out -xpf - 2>said || cat said >&2`,
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(execFileSync('sh', ['-c', tell], { cwd: `${base}/out`, encoding: 'latin1' }), before);
});
