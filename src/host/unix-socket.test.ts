import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openFifo } from './fifo.ts';
import { connectUnix } from './unix-socket.ts';

function makeDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('a socket is reached by its own name and never by a link, and no descriptor is left (4.1, 9.4)', async (t) => {
  const directory = makeDirectory(t);
  const [path, link, file] = ['s', 'link', 'file'].map((name) => join(directory, name)) as [string, string, string];
  const server = createServer((socket) => socket.end('hello')).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  symlinkSync(path, link);
  writeFileSync(file, '');
  const socket = connectUnix(path);
  const [said] = (await once(socket, 'data')) as [Buffer];
  assert.equal(said.toString(), 'hello');
  socket.destroy();
  await once(socket, 'close');
  for (const [wrong, code] of [
    [link, 'ELOOP'],
    [file, 'ENOTSOCK'],
    [join(directory, 'nothing'), 'ENOENT'],
  ] as const) {
    const [error] = (await once(connectUnix(wrong), 'error').catch((thrown: unknown) => [thrown])) as [NodeJS.ErrnoException];
    assert.equal(error.code, code, wrong);
  }
  const held = readdirSync('/proc/self/fd').map((fd) => readLinkQuietly(`/proc/self/fd/${fd}`));
  assert.deepEqual(
    held.filter((target) => target.startsWith(directory)),
    [],
  );
});

test(
  'a socket of another user is not connected to, but that of the user who is expected (4.1, 9.4)',
  { skip: process.geteuid?.() !== 0 && 'only root gives files away' },
  async (t) => {
    const path = join(makeDirectory(t), 's');
    let calls = 0;
    const server = createServer((socket) => {
      calls++;
      socket.end('hello');
    }).listen(path);
    t.after(() => server.close());
    await once(server, 'listening');
    chownSync(path, 2_000_000, 2_000_000);
    for (const other of [undefined, 2_000_001]) {
      const [error] = (await once(connectUnix(path, other), 'error').catch((thrown: unknown) => [thrown])) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'EPERM');
    }
    assert.equal(calls, 0);
    const socket = connectUnix(path, 2_000_000);
    assert.equal(((await once(socket, 'data')) as [Buffer])[0].toString(), 'hello');
    socket.destroy();
  },
);

/** The descriptor with which the directory was read is gone. */
function readLinkQuietly(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

test('only a pipe is opened as one, and no link is followed to it (4.1, 9.4)', (t) => {
  const directory = makeDirectory(t);
  const [pipe, link, file] = ['p', 'link', 'file'].map((name) => join(directory, name)) as [string, string, string];
  spawnSync('mkfifo', [pipe]);
  symlinkSync(pipe, link);
  writeFileSync(file, 'secret');
  openFifo(pipe).destroy();
  assert.throws(() => openFifo(link), { code: 'ELOOP' });
  assert.throws(() => openFifo(file), { code: 'EINVAL' });
});
