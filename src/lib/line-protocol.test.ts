import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { converse, parseFacts, parseReplies } from './line-protocol.ts';

/** A program that does `serve` with each connection. @returns the path of its socket */
async function programThat(t: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-lines-'));
  const path = join(directory, 'socket');
  const server = createServer((socket) => serve(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return path;
}

test('replies are split at their last lines; an incomplete one is no reply (6.1)', () => {
  assert.deepEqual(parseReplies('tap bgr-00000001\nok\nerror EINVAL Invalid argument\no'), [
    { ok: true, lines: ['tap bgr-00000001'] },
    { ok: false, errno: 'EINVAL', text: 'Invalid argument' },
  ]);
  assert.deepEqual(parseReplies('ok 1\nerror\n'), []);
});

test('facts of a line are known by name; a value may hold an equals sign (6.1)', () => {
  assert.deepEqual(
    [...parseFacts('overlay used=12 device=/a=b')],
    [
      ['used', '12'],
      ['device', '/a=b'],
    ],
  );
});

test('several requests on one connection get their answers in order, however they are cut (6.1)', async (t) => {
  const path = await programThat(t, (socket) => {
    socket.once('data', (text) => {
      assert.equal(String(text), 'list\ntap add x\n');
      socket.write('tap 1\nta');
      setTimeout(() => socket.write('p 2\nok\nerror EBUSY it is\n'), 5);
    });
  });
  assert.deepEqual(await converse(path, ['list', 'tap add x'], 1000), [
    { ok: true, lines: ['tap 1', 'tap 2'] },
    { ok: false, errno: 'EBUSY', text: 'it is' },
  ]);
  assert.deepEqual(await converse(path, [], 1000), []);
});

test('no listener, an early end, silence and a flood are failures of the conversation, not replies (9.4, 6.1)', async (t) => {
  const failure = (message: RegExp) => ({ name: 'ConversationFailure', message });
  await assert.rejects(converse('/nonexistent/socket', ['x'], 1000), failure(/^ENOENT$/));
  const ends = await programThat(t, (socket) => socket.end('tap 1\n'));
  await assert.rejects(converse(ends, ['x'], 1000), failure(/closed the connection|EPIPE/));
  const silent = await programThat(t, (socket) => socket.resume());
  await assert.rejects(converse(silent, ['x'], 20), failure(/no reply came within 20 ms/));
  const flood = await programThat(t, (socket) => socket.write('x'.repeat(5 * 1024 ** 2)));
  await assert.rejects(converse(flood, ['x'], 5000), failure(/too long/));
});
