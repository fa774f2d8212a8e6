// What a guest may send to a copy out of it: nothing of it gets out of the target.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, test } from 'node:test';
import { encodeTarHeader, type TarEntry, tarEnd, tarPadding } from '../../src/lib/tar.ts';
import { COPY_PROGRAM } from '../support/guest/stub-guest.ts';

type Member = Partial<TarEntry> & { body?: string };

let base: string;
beforeEach(() => {
  base = mkdtempSync(`${tmpdir()}/banger-hostile-`);
  for (const name of ['outside', 'target']) mkdirSync(`${base}/${name}`);
  writeFileSync(`${base}/outside/keys`, 'safe');
});
afterEach(() => rmSync(base, { recursive: true }));

function member({ body = '', ...given }: Member): Buffer {
  const entry = { path: './x', type: 'file', mode: 0o644, modifiedMs: 0, linkPath: '', ...given, sizeBytes: body.length };
  return Buffer.concat([encodeTarHeader(entry as Parameters<typeof encodeTarHeader>[0]), Buffer.from(body), tarPadding(body.length)]);
}

const ROOT: Member = { path: './', type: 'directory', mode: 0o755 };
const archive = (members: readonly Member[]): Buffer => Buffer.concat([...[ROOT, ...members].map(member), tarEnd()]);

type Receipt = { status: number | null; said: string };

function receive(input: Buffer, to = 'target', name = ''): Receipt {
  const words = ['receive', `--to=${base}/${to}`, `--name=${name}`, '--beneath'];
  const { status, stderr } = spawnSync(COPY_PROGRAM, words, { input, timeout: 60_000 });
  return { status, said: stderr.toString() };
}

function assertSafe(): void {
  assert.deepEqual(readdirSync(base).toSorted(), ['outside', 'target']);
  assert.deepEqual(readdirSync(`${base}/outside`), ['keys']);
  assert.equal(readFileSync(`${base}/outside/keys`, 'utf8'), 'safe');
  assert.equal(statSync(`${base}/outside/keys`).nlink, 1);
}

/** A pax header of its own in front of a member. */
function withPax(records: Record<string, string>, given: Member): Buffer {
  const body = Object.entries(records).reduce((text, [key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (`${length}${rest}`.length !== length) length++;
    return `${text}${length}${rest}`;
  }, '');
  const header = encodeTarHeader({ path: 'x', type: 'file', mode: 0, modifiedMs: 0, linkPath: '', sizeBytes: body.length });
  header.write('x', 156);
  header.write('        ', 148);
  header.write(
    `${[...header]
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return Buffer.concat([header, Buffer.from(body), tarPadding(body.length), member(given)]);
}

const OUT = (): string => `${base}/outside`;
const REFUSED: Record<string, () => Member[]> = {
  'a path with ..': () => [{ path: './a/../../outside/evil', body: 'x' }],
  'a path that begins with ..': () => [{ path: '../outside/keys', body: 'x' }],
  'an absolute path': () => [{ path: `${OUT()}/keys`, body: 'x' }],
  'a file through a link of its own': () => [
    { path: './l', type: 'symlink', linkPath: OUT() },
    { path: './l/keys', body: 'x' },
  ],
  'a file through a link of a link': () => [
    { path: './x/', type: 'directory' },
    { path: './x/up', type: 'symlink', linkPath: '..' },
    { path: './p', type: 'symlink', linkPath: 'x/up/../outside' },
    { path: './p/keys', body: 'x' },
  ],
  'a directory in place of its own link': () => [
    { path: './l', type: 'symlink', linkPath: OUT() },
    { path: './l/', type: 'directory' },
    { path: './l/keys', body: 'x' },
  ],
  'a file through a link that was there before': () => [{ path: './planted/keys', body: 'x' }],
  'a directory in place of a link that was there before': () => [
    { path: './planted/', type: 'directory' },
    { path: './planted/keys', body: 'x' },
  ],
  'another name of a file outside, by an absolute path': () => [{ path: './h', type: 'hardlink', linkPath: `${OUT()}/keys` }],
  'another name of a file outside, by ..': () => [{ path: './h', type: 'hardlink', linkPath: './../outside/keys' }],
  'another name of a file behind a link': () => [{ path: './h', type: 'hardlink', linkPath: './planted/keys' }],
  'another name of a link': () => [
    { path: './l', type: 'symlink', linkPath: `${OUT()}/keys` },
    { path: './h', type: 'hardlink', linkPath: './l' },
  ],
  'a file below a file': () => [
    { path: './f', body: 'x' },
    { path: './f/g', body: 'x' },
  ],
  'a directory where a file is': () => [
    { path: './f', body: 'x' },
    { path: './f/', type: 'directory' },
  ],
  'a file where a directory is': () => [
    { path: './d/', type: 'directory' },
    { path: './d', body: 'x' },
  ],
  'a file as the root': () => [{ path: './', body: 'x' }],
  'a device': () => [{ path: './d', type: 'device' }],
  'a pipe': () => [{ path: './p', type: 'fifo' }],
  'a name that is too long': () => [{ path: `./${'n'.repeat(300)}`, body: 'x' }],
  'a link to nowhere at all': () => [{ path: './l', type: 'symlink', linkPath: '' }],
};

for (const [what, members] of Object.entries(REFUSED)) {
  test(`a copy out of a guest refuses ${what} (3.13)`, () => {
    symlinkSync(OUT(), `${base}/target/planted`);
    const { status, said } = receive(archive(members()));
    assert.equal(status, 1, said);
    assert.match(said, /^error \d+ \S.*$/m);
    assertSafe();
    assert.equal(readlinkSync(`${base}/target/planted`), OUT());
  });
}

const DAMAGED: Record<string, () => Buffer> = {
  'a path with a zero byte': () => withPax({ path: './a\0b' }, {}),
  'a sparse file whose map leads behind its end': () =>
    withPax({ 'GNU.sparse.realsize': '10', 'GNU.sparse.name': './s' }, { body: `1\n9223372036854775000\n4\n${'\0'.repeat(485)}data` }),
  'a sparse file whose map has more pieces than it has bytes': () =>
    withPax({ 'GNU.sparse.realsize': '10', 'GNU.sparse.name': './s' }, { body: '999999999\n' }),
  'a sparse file whose pieces overlap': () =>
    withPax({ 'GNU.sparse.realsize': '10', 'GNU.sparse.name': './s' }, { body: `2\n0\n4\n2\n4\n${'\0'.repeat(502)}datadata` }),
  'a sparse file of more bytes than a number holds': () => withPax({ 'GNU.sparse.realsize': '99999999999999999999' }, { body: '0\n' }),
  'a pax record that is longer than its header': () => withPax({ path: 'long-name' }, {}).fill('9', 512, 514),
  'a size with a minus': () => withPax({ size: '-1' }, {}),
  nothing: () => Buffer.alloc(0),
  noise: () => Buffer.alloc(4096, 'noise'),
};

for (const [what, bytes] of Object.entries(DAMAGED)) {
  test(`a copy out of a guest ends at ${what} (7.2)`, () => {
    const { status, said } = receive(Buffer.concat([member(ROOT), bytes(), tarEnd()]));
    assert.equal(status, what === 'nothing' ? 0 : 1, said);
    assertSafe();
    assert.deepEqual(readdirSync(`${base}/target`), []);
  });
}

test('a second copy into one folder is not led out by the links of the first (3.13)', () => {
  const site: Member[] = [
    { path: './x/', type: 'directory' },
    { path: './x/up', type: 'symlink', linkPath: '..' },
  ];
  assert.equal(receive(archive(site)).status, 0);
  assert.equal(receive(archive([{ path: './project', type: 'symlink', linkPath: 'x/up/../outside' }])).status, 0);
  const second = receive(archive([{ path: './keys', body: 'evil' }]), 'target', 'project');
  assert.equal(second.status, 1);
  assert.match(second.said, /target\/project: a link or a file is there/);
  // A single file takes the link's place.
  const file = Buffer.concat([member({ path: 'project', body: 'mine' }), tarEnd()]);
  assert.equal(receive(file, 'target', 'project').status, 0);
  assert.equal(lstatSync(`${base}/target/project`).isFile(), true);
  assertSafe();
});

test('later copies follow no link that came out of a guest, to write or to read, wherever it stands in a path (3.13)', () => {
  const tree: Member[] = [
    { path: './sub', type: 'symlink', linkPath: '../outside' },
    { path: './keys', type: 'symlink', linkPath: '../outside/keys' },
    { path: './inner/', type: 'directory' },
    { path: './inner/f', body: 'mine' },
    { path: './near', type: 'symlink', linkPath: 'inner' },
  ];
  assert.equal(receive(archive(tree)).status, 0);
  symlinkSync('target/sub', `${base}/way`);
  const file = Buffer.concat([member({ path: 'keys', body: 'evil' }), tarEnd()]);
  for (const to of [
    'target/sub/keys',
    'target/inner/../sub/keys',
    'target/./sub//keys',
    'target/near/../sub/keys',
    'way/keys',
    'way/more/',
  ]) {
    const { status, said } = receive(file, to);
    assert.equal(status, 1, to);
    assert.match(said, /outside: the path leads here by a link that came out of a guest/, to);
  }
  assert.equal(receive(archive([{ path: './keys', body: 'evil' }]), 'target/sub/x').status, 1);
  const send = (from: string): { status: number | null; stderr: string } =>
    spawnSync(COPY_PROGRAM, ['send', `--from=${base}/${from}`, '--name=n'], { encoding: 'utf8' });
  for (const from of ['target/keys', 'target/sub', 'target/sub/keys', 'way/keys']) {
    const { status, stderr } = send(from);
    assert.equal(status, 1, from);
    assert.match(stderr, /by a link that came out of a guest/, from);
  }
  // What leads on within its directory, and links of the person's own, are followed as ever.
  symlinkSync('target', `${base}/own`);
  assert.equal(send('own/near/f').status, 0);
  assert.equal(receive(Buffer.concat([member({ path: 'f', body: 'new' }), tarEnd()]), 'own/near/f').status, 0);
  assert.equal(readFileSync(`${base}/target/inner/f`, 'utf8'), 'new');
  for (const name of ['way', 'own']) rmSync(`${base}/${name}`);
  assertSafe();
});

test('a file that has other names outside of the target is replaced, not written into (3.13)', () => {
  spawnSync('ln', [`${base}/outside/keys`, `${base}/target/keys`]);
  assert.equal(receive(archive([{ path: './keys', body: 'new' }])).status, 0);
  assert.equal(readFileSync(`${base}/target/keys`, 'utf8'), 'new');
  assertSafe();
});

test('modes of a guest give no rights: setuid and setgid bits are dropped (3.13)', () => {
  assert.equal(
    receive(
      archive([
        { path: './d/', type: 'directory', mode: 0o7777 },
        { path: './f', mode: 0o7755, body: 'x' },
      ]),
    ).status,
    0,
  );
  assert.equal(statSync(`${base}/target/f`).mode & 0o7777, 0o755);
  assert.equal(statSync(`${base}/target/d`).mode & 0o7777, 0o1777);
});

test('an ordinary user gets a copy of their own with --archive, without setuid bits, and one note about it (11.10)', () => {
  const input = archive([
    { path: './f', mode: 0o4755, body: 'x' },
    { path: './l', type: 'symlink', linkPath: 'f' },
    { path: './g', mode: 0o444, body: 'y' },
  ]);
  execFileSync('chmod', ['777', base, `${base}/target`]);
  const words = [COPY_PROGRAM, 'receive', `--to=${base}/target`, '--name=', '--beneath', '--owners'];
  const demoted = process.getuid?.() === 0 ? ['setpriv', '--reuid=61213', '--regid=61213', '--clear-groups', ...words] : words;
  // Of root, to whom nobody else gives files.
  const { status, stderr } = spawnSync(demoted[0] ?? '', demoted.slice(1), { input });
  assert.equal(status, 0, stderr.toString());
  assert.match(stderr.toString(), /^note \S+\/f: only root gives files away: this one and all others are yours\n$/);
  assert.equal(statSync(`${base}/target/f`).mode & 0o7777, 0o755);
});

test('attributes that give rights are left out and said once, and a file that is replaced loses its setuid bit (3.13)', () => {
  writeFileSync(`${base}/target/f`, 'old');
  execFileSync('chmod', ['6755', `${base}/target/f`]);
  const carrying = (path: string): Buffer => withPax({ 'SCHILY.xattr.security.capability': 'x' }, { path, body: 'new' });
  const { status, said } = receive(Buffer.concat([member(ROOT), carrying('./f'), carrying('./g'), tarEnd()]));
  assert.equal(status, 0, said);
  assert.match(said, /^note \S+\/g: its access list or capabilities were left out, as of all files; --archive keeps them\n$/);
  assert.equal(statSync(`${base}/target/f`).mode & 0o7777, 0o755);
});

test('a new directory at the top keeps its sticky bit like those below it (11.10)', () => {
  const top = Buffer.concat([member({ ...ROOT, mode: 0o1777 }), tarEnd()]);
  assert.equal(receive(top, 'target', 'new').status, 0);
  assert.equal(statSync(`${base}/target/new`).mode & 0o7777, 0o1777);
});

test('an ordinary tree with links that lead elsewhere is copied, and said once (11.10)', () => {
  const { status, said } = receive(
    archive([
      { path: './python3', type: 'symlink', linkPath: '/usr/bin/python3' },
      { path: './up', type: 'symlink', linkPath: '../../x' },
      { path: './in/', type: 'directory' },
      { path: './in/side', type: 'symlink', linkPath: '../python3' },
    ]),
  );
  assert.equal(status, 0, said);
  assert.equal(said.split('\n').filter((line) => line.startsWith('note ')).length, 1);
  assert.match(said, /note \S+\/python3: this and others, 2 links in all, lead out of the copy/);
  assert.equal(readlinkSync(`${base}/target/in/side`), '../python3');
});

test('a directory that is replaced by a link during the copy leads nowhere (3.13)', async () => {
  const child: ChildProcess = spawn(COPY_PROGRAM, ['receive', `--to=${base}/target`, '--name=', '--beneath']);
  const ended = once(child, 'close');
  child.stdin?.on('error', () => undefined);
  const write = (bytes: Buffer): void => void child.stdin?.write(bytes);
  const until = async (path: string): Promise<void> => {
    while (!existsSync(path)) await new Promise((resolve) => setImmediate(resolve));
  };
  write(Buffer.concat([member(ROOT), member({ path: './d/', type: 'directory', mode: 0o755 }), member({ path: './d/one', body: '1' })]));
  await until(`${base}/target/d/one`);
  renameSync(`${base}/target/d`, `${base}/target/was-d`);
  symlinkSync(OUT(), `${base}/target/d`);
  write(member({ path: './d/two', body: '2' }));
  await until(`${base}/target/was-d/two`);
  write(Buffer.concat([member({ path: './e', body: 'x' }), member({ path: './d/keys', body: 'evil' })]));
  child.stdin?.end(tarEnd());
  assert.equal((await ended)[0], 1);
  assertSafe();
});

test('what breaks off leaves no half file, and no name of ours (11.10)', () => {
  const whole = archive([{ path: './big', body: 'x'.repeat(5000) }]);
  assert.equal(receive(whole.subarray(0, 4000)).status, 1);
  assert.deepEqual(readdirSync(`${base}/target`), []);
  const file = Buffer.concat([member({ path: 'f', body: 'x'.repeat(5000) }), tarEnd()]);
  assert.equal(receive(file.subarray(0, 3000), 'target', 'f').status, 1);
  assert.equal(receive(file.subarray(0, file.length - 1024), 'target', 'f').status, 1, 'the end mark is missing');
  assert.deepEqual(readdirSync(`${base}/target`), []);
});
