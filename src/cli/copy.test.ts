import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, test } from 'node:test';
import type { ExecBody } from '../api/schemas.ts';
import { encodeTarHeader, readTar, type TarEntry, tarEnd, tarPadding } from '../lib/tar.ts';
import { BangerError } from '../model/errors.ts';
import { runInProcess } from '../../test/support/run-cli.ts';
import { answer, fail, startStubDaemon, type StubDaemon } from '../../test/support/stub-daemon.ts';
import { runAsGuest } from '../../test/support/stub-guest.ts';
import { parseSide, planCopy } from './copy-spec.ts';
import { createUnpacker } from './tar-unpack.ts';

let base: string;
let stub: StubDaemon;

/** A daemon whose guest is `${base}/guest` on this host; paths of requests are used as they are. */
beforeEach(async () => {
  base = mkdtempSync(`${tmpdir()}/banger-copy-`);
  mkdirSync(`${base}/guest`);
  const pathOf = (url: string): string => new URL(url, 'http://x').searchParams.get('path') ?? '';
  stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'GET /v1/vms/web/stat': (response, seen) => {
        const stat = statSync(pathOf(seen.url), { throwIfNoEntry: false });
        if (stat === undefined) return fail(response, 422, { code: 'GUEST_FILE', message: 'not there' });
        return answer({ type: stat.isDirectory() ? 'directory' : 'file', mode: stat.mode, sizeBytes: stat.size })(response, seen);
      },
      'GET /v1/vms/web/files': (response, seen) => {
        const path = pathOf(seen.url);
        response.writeHead(200, { 'X-Mode': (statSync(path).mode & 0o7777).toString(8), 'X-Size': String(statSync(path).size) });
        response.end(readFileSync(path));
      },
      'PUT /v1/vms/web/files': (response, seen) => {
        writeFileSync(pathOf(seen.url), seen.body as Buffer);
        chmodSync(pathOf(seen.url), Number.parseInt(new URL(seen.url, 'http://x').searchParams.get('mode') ?? '', 8));
        response.writeHead(204).end();
      },
    },
    onUpgrade: (socket, seen) => void runAsGuest(socket, (seen.body as ExecBody).argv),
  });
});
afterEach(async () => {
  await stub.close();
  rmSync(base, { recursive: true });
});

const cp = (from: string, to: string, stdin = '') => runInProcess(stub.env, ['vm', 'cp', from, to], { stdin });

test('sides are told apart as scp does, and one of them must be a guest (3.13)', () => {
  assert.deepEqual(parseSide('web:/a:b'), { kind: 'guest', vm: 'web', path: '/a:b' });
  assert.deepEqual(parseSide('./a:b'), { kind: 'host', path: './a:b' });
  assert.deepEqual(parseSide('-'), { kind: 'stream' });
  for (const [from, to] of [
    ['a', 'b'],
    ['web:/a', 'db:/b'],
    ['web:a', 'b'],
    ['-', '-'],
  ]) {
    assert.throws(
      () => planCopy(from ?? '', to ?? ''),
      (e) => e instanceof BangerError && e.code === 'INVALID_INPUT',
    );
  }
});

test('a file goes both ways with its mode, into a directory by its name (3.13)', async () => {
  const body = Buffer.alloc(200_000, 'ab');
  writeFileSync(`${base}/tool`, body, { mode: 0o750 });
  assert.deepEqual(await cp(`${base}/tool`, `web:${base}/guest`), { exitCode: 0, stdout: '', stderr: '' });
  assert.ok(readFileSync(`${base}/guest/tool`).equals(body));
  assert.equal(statSync(`${base}/guest/tool`).mode & 0o777, 0o750);
  mkdirSync(`${base}/out`);
  assert.equal((await cp(`web:${base}/guest/tool`, `${base}/out/`)).exitCode, 0);
  assert.equal((await cp(`web:${base}/guest/tool`, `${base}/out/renamed`)).exitCode, 0);
  assert.deepEqual(readdirSync(`${base}/out`), ['renamed', 'tool']);
  assert.ok(readFileSync(`${base}/out/tool`).equals(body));
  assert.equal(statSync(`${base}/out/renamed`).mode & 0o777, 0o750);
});

test('- is stdin and stdout (3.13)', async () => {
  assert.equal((await cp('-', `web:${base}/guest/note`, 'hello')).exitCode, 0);
  assert.equal(readFileSync(`${base}/guest/note`, 'utf8'), 'hello');
  assert.equal((await cp(`web:${base}/guest/note`, '-')).stdout, 'hello');
});

test('a tree goes both ways: modes, links, empty files, long and foreign names (3.13)', async () => {
  const long = `${'d'.repeat(90)}/${'ü'.repeat(60)}`;
  mkdirSync(`${base}/src/${'d'.repeat(90)}`, { recursive: true });
  writeFileSync(`${base}/src/${long}`, 'long');
  writeFileSync(`${base}/src/empty`, '');
  writeFileSync(`${base}/src/big`, Buffer.alloc(600_001, 'z'), { mode: 0o600 });
  mkdirSync(`${base}/src/closed`, { mode: 0o500 });
  symlinkSync('big', `${base}/src/link`);
  assert.deepEqual(await cp(`${base}/src`, `web:${base}/guest`), { exitCode: 0, stdout: '', stderr: '' });
  assert.deepEqual(await cp(`web:${base}/guest/src`, `${base}/back`), { exitCode: 0, stdout: '', stderr: '' });
  const look = (root: string): string =>
    execFileSync('find', [root, '-printf', '%P %y %m %s %l\\n']).toString().split('\n').toSorted().join('\n');
  const files = (text: string): string => text.replace(/^(.*) d (\d+) \d+ /gm, '$1 d $2 ');
  assert.equal(files(look(`${base}/back`)), files(look(`${base}/src`)));
  assert.equal(readFileSync(`${base}/back/${long}`, 'utf8'), 'long');
  assert.equal(readlinkSync(`${base}/back/link`), 'big');
  chmodSync(`${base}/back/closed`, 0o700);
});

test('what is not there fails with the reason and leaves nothing (3.13)', async () => {
  const missing = await cp(`web:${base}/guest/none`, `${base}/x`);
  assert.deepEqual([missing.exitCode, existsSync(`${base}/x`)], [1, false]);
  assert.equal((await cp(`${base}/none`, `web:${base}/guest`)).exitCode, 3);
  assert.equal((await cp('-', `web:${base}/guest/no/such`, 'x')).exitCode, 1);
  assert.deepEqual(readdirSync(`${base}/guest`), []);
});

async function* archive(entries: (Partial<TarEntry> & { body?: string })[]): AsyncGenerator<Buffer> {
  for (const { body = '', ...given } of entries) {
    const entry = { path: 'x', type: 'file' as const, mode: 0o644, modifiedMs: 0, linkPath: '', ...given, sizeBytes: body.length };
    yield encodeTarHeader(entry as Parameters<typeof encodeTarHeader>[0]);
    yield Buffer.concat([Buffer.from(body), tarPadding(body.length)]);
  }
  yield tarEnd();
}

const ESCAPES: Record<string, (Partial<TarEntry> & { body?: string })[]> = {
  'a path with ..': [{ path: 'a/../../evil', body: 'x' }],
  'an absolute path': [{ path: '/tmp/evil', body: 'x' }],
  'a link that leads out': [{ path: 'l', type: 'symlink', linkPath: '../outside' }],
  'a link through a directory that leads out': [{ path: 'd/l', type: 'symlink', linkPath: '../../outside' }],
  'an absolute link': [{ path: 'l', type: 'symlink', linkPath: '/etc' }],
  'a file below a link': [
    { path: 'l', type: 'symlink', linkPath: '.' },
    { path: 'l/evil', body: 'x' },
  ],
  'a file below a link that was there before': [{ path: 'planted/evil', body: 'x' }],
  'a directory over a link': [
    { path: 'planted/', type: 'directory' },
    { path: 'planted/evil', body: 'x' },
  ],
  'a link of a link that leads out': [
    { path: 'd/', type: 'directory' },
    { path: 'd/l', type: 'symlink', linkPath: '../../x' },
  ],
};

for (const [name, entries] of Object.entries(ESCAPES)) {
  test(`copying out refuses ${name} (3.13)`, async () => {
    mkdirSync(`${base}/outside`);
    mkdirSync(`${base}/target`);
    symlinkSync(`${base}/outside`, `${base}/target/planted`);
    const unpacker = createUnpacker(`${base}/target`, () => undefined);
    await assert.rejects(readTar(archive(entries), unpacker), (e) => e instanceof BangerError && e.code === 'GUEST_FILE');
    await unpacker.abandon();
    assert.deepEqual(readdirSync(`${base}/outside`), []);
    assert.equal(existsSync(`${base}/evil`), false);
  });
}

test('a planted link where a file comes is replaced, not written through; setuid is dropped (3.13)', async () => {
  writeFileSync(`${base}/victim`, 'safe');
  mkdirSync(`${base}/target`);
  symlinkSync(`${base}/victim`, `${base}/target/f`);
  const unpacker = createUnpacker(`${base}/target`, () => undefined);
  await readTar(archive([{ path: 'f', body: 'new', mode: 0o4755 }]), unpacker);
  unpacker.finish();
  assert.equal(readFileSync(`${base}/victim`, 'utf8'), 'safe');
  assert.equal(readFileSync(`${base}/target/f`, 'utf8'), 'new');
  assert.equal(statSync(`${base}/target/f`).mode & 0o7777, 0o755);
});
