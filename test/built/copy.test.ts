// `vm cp` with the real copy program at both ends and a daemon that is none: its guest is a directory of this host.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { parseSide, planCopies } from '../../src/cli/copy-spec.ts';
import { BangerError } from '../../src/model/errors.ts';
import { COPY_CASES, layOut, look } from '../support/guest/copy-cases.ts';
import { useCopyStub } from '../support/guest/copy-stub.ts';

const stub = useCopyStub();

test('sides are distinguished as in scp, and one of them must be a guest (3.13)', () => {
  assert.deepEqual(parseSide('web:/a:b'), { kind: 'guest', vm: 'web', path: '/a:b', bytes: Buffer.from('/a:b') });
  assert.deepEqual(parseSide('./a:b'), { kind: 'host', path: './a:b', bytes: Buffer.from('./a:b') });
  assert.deepEqual(parseSide('-'), { kind: 'stream' });
  for (const [from, to] of [
    ['a', 'b'],
    ['web:/a', 'db:/b'],
    ['web:a', 'b'],
    ['-', '-'],
    ['', 'web:/a'],
    ['web:/a', 'b'.repeat(5000)],
  ]) {
    assert.throws(
      () => planCopies([from ?? '', to ?? '']),
      (e) => e instanceof BangerError && e.code === 'INVALID_INPUT',
    );
  }
});

test('the table of cases in docs/copying.md is read (11.10)', () => assert.ok(COPY_CASES.length > 50));

for (const given of COPY_CASES) {
  for (const direction of ['in', 'out'] as const) {
    if (given.only !== undefined && given.only !== direction) continue;
    test(`vm cp ${direction}: ${given.title} (11.10)`, async () => {
      const { base, cp } = stub();
      const [near, far] = direction === 'in' ? [`${base}/host`, `${base}/guest`] : [`${base}/guest`, `${base}/host`];
      layOut(near, given.source);
      layOut(far, given.before);
      const side = (root: string, path: string): string => (path === '-' ? '-' : `${root.endsWith('guest') ? 'web:' : ''}${root}/${path}`);
      const { exitCode, stderr } = await cp([side(near, given.argv[0]), side(far, given.argv[1])], 'stdin');
      assert.equal(exitCode !== 0, given.isRefused, stderr);
      if (given.says === '') assert.equal(stderr, '');
      else assert.ok(stderr.includes(given.says), stderr);
      assert.deepEqual(look(far), given.after);
    });
  }
}

test('- is stdin and stdout; of a directory stdout gets a tar archive (3.13)', async () => {
  const { base, cp } = stub();
  assert.equal((await cp(['-', `web:${base}/guest/note`], 'hello')).exitCode, 0);
  assert.equal(readFileSync(`${base}/guest/note`, 'utf8'), 'hello');
  assert.equal((await cp([`web:${base}/guest/note`, '-'])).stdout, 'hello');
  const { stdout } = await cp([`web:${base}/guest`, '-']);
  assert.equal(execFileSync('tar', ['-t'], { input: stdout }).toString(), './\n./note\n');
});

test('names of stdin and stdout in /dev mean what they mean to the shell (11.10)', async () => {
  const { base, cp } = stub();
  for (const name of ['/dev/stdin', '/dev/fd/0', '/proc/self/fd/0']) {
    assert.equal((await cp([name, `web:${base}/guest/note`], `by ${name}`)).exitCode, 0);
    assert.equal(readFileSync(`${base}/guest/note`, 'utf8'), `by ${name}`);
  }
  assert.equal((await cp([`web:${base}/guest/note`, '/dev/stdout'])).stdout, 'by /proc/self/fd/0');
});

test('several sources go into a directory, in their order, and one that fails keeps none from it (11.10)', async () => {
  const { base, cp } = stub();
  layOut(`${base}/host`, ['a=1', 'b=2', 's/', 's/f', 't/', 't/a=3']);
  layOut(`${base}/guest`, ['d/', 'l -> d']);
  const from = (...names: string[]): string[] => names.map((name) => `${base}/host/${name}`);
  assert.deepEqual(await cp(['-rp', ...from('a', 'b', 's'), `web:${base}/guest/l`]), { exitCode: 0, stdout: '', stderr: '' });
  assert.deepEqual(look(`${base}/guest/d`), ['a=1', 'b=2', 's/', 's/f=f']);
  assert.equal((await cp([`web:${base}/guest/d/a`, `web:${base}/guest/d/s`, `${base}/host/t`])).exitCode, 0);
  assert.deepEqual(look(`${base}/host/t`), ['a=1', 's/', 's/f=f']);
  const partly = await cp([...from('a', 'none', 't/a', 'b'), `web:${base}/guest/d`]);
  assert.equal(partly.exitCode, 3);
  assert.match(partly.stderr, /host\/none: No such file/);
  assert.deepEqual(look(`${base}/guest/d`), ['a=1', 'b=2', 's/', 's/f=f']);
  for (const target of ['none', 'd/a']) {
    const { exitCode, stderr } = await cp([...from('a', 'b'), `web:${base}/guest/${target}`]);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, new RegExp(`guest/${target}/\\.: (there is no such directory|Not a directory)`));
  }
  for (const wrong of [['a', '-', 'web:/d'], ['web:/a', 'web:/b', '-'], ['web:/a', 'b', '.'], ['a', 'web:/b', 'web:/d'], ['web:/a']]) {
    assert.throws(() => planCopies(wrong), BangerError);
  }
});

test('what stdin cannot give is an error, and nothing is left of it (11.10)', async () => {
  const { base, cp } = stub();
  const broken = Readable.from(
    (async function* () {
      yield Buffer.alloc(300_000);
      throw Object.assign(new Error('gone'), { code: 'EIO' });
    })(),
  );
  const { exitCode, stderr } = await cp(['-', `web:${base}/guest/note`], broken);
  assert.equal(exitCode, 1);
  assert.match(stderr, /the input cannot be read: EIO/);
  assert.deepEqual(readdirSync(`${base}/guest`), []);
});

const facts = (root: string): string[] =>
  execFileSync('find', [root, '-printf', '%P %y %m %s %l %T@ %n\\n'], { encoding: 'latin1' })
    .split('\n')
    .map((line) => line.replace(/ d (\d+) \d+ /, ' d $1 '))
    .toSorted();

test('a tree is copied unchanged in both directions: names of any bytes, times, modes, links, holes (11.10)', async () => {
  const { base, cp } = stub();
  const script = `mkdir -p "$1/a/b" "$1/closed" "$1/${'d'.repeat(200)}/${'ü'.repeat(100)}"; cd "$1"; printf hi >a/f; ln a/f hard; ln -s f a/l
    printf 1 >"$(printf 'caf\\351')"; printf 2 >"$(printf 'caf\\352')"; printf 3 >"$(printf 'line\\nbreak')"; ln -s "$(printf 'caf\\351')" latin
    touch -h -d '1960-01-02 03:04:05.6789' a/l; touch -d 1901-01-01 a/b; touch -d 2300-01-01 hard; : >empty
    head -c 600001 /dev/urandom >big; chmod 600 big; truncate -s 30M sparse; printf end | dd of=sparse bs=1 seek=20000000 conv=notrunc status=none
    printf deep >${'d'.repeat(200)}/${'ü'.repeat(100)}/file; chmod 1777 a; chmod 500 closed`;
  execFileSync('sh', ['-c', script, 'sh', `${base}/host/src`]);
  assert.deepEqual(await cp([`${base}/host/src`, `web:${base}/guest`]), { exitCode: 0, stdout: '', stderr: '' });
  assert.deepEqual(await cp([`web:${base}/guest/src`, `${base}/host/back`]), { exitCode: 0, stdout: '', stderr: '' });
  for (const copied of [`${base}/guest/src`, `${base}/host/back`]) {
    assert.deepEqual(facts(copied), facts(`${base}/host/src`));
    assert.ok(statSync(`${copied}/sparse`).blocks < 100);
    assert.equal(lstatSync(`${copied}/hard`).ino, lstatSync(`${copied}/a/f`).ino);
    execFileSync('cmp', [`${base}/host/src/sparse`, `${copied}/sparse`]);
    execFileSync('chmod', ['u+w', `${copied}/closed`]);
  }
});

test('setuid bits of a guest are dropped, a link where a file comes is replaced (3.13)', async () => {
  const { base, cp } = stub();
  writeFileSync(`${base}/guest/tool`, 'new');
  execFileSync('chmod', ['4755', `${base}/guest/tool`]);
  writeFileSync(`${base}/victim`, 'safe');
  symlinkSync(`${base}/victim`, `${base}/host/tool`);
  assert.equal((await cp([`web:${base}/guest/tool`, `${base}/host`])).exitCode, 0);
  assert.equal(readFileSync(`${base}/victim`, 'utf8'), 'safe');
  assert.equal(readFileSync(`${base}/host/tool`, 'utf8'), 'new');
  assert.equal(statSync(`${base}/host/tool`).mode & 0o7777, 0o755);
});
