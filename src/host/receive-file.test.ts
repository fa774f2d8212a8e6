import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openUnpacked } from './packed.ts';
import { receiveFile } from './receive-file.ts';

function placesIn(t: TestContext): { socket: string; file: string } {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return { socket: join(directory, 's'), file: join(directory, 'f') };
}

test('all that one sender sends is in a private packed file when it has closed (10.5)', async (t) => {
  const { socket, file } = placesIn(t);
  const { done } = await receiveFile(socket, file);
  const sent = Buffer.alloc(3 * 1024 ** 2, 'banger');
  connect(socket).end(sent);
  await done;
  assert.ok((await buffer(openUnpacked(file))).equals(sent));
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('a file that cannot be written is told, and its sender loses the connection; nobody has to come (10.5, 5.4)', async (t) => {
  const { socket } = placesIn(t);
  const { done } = await receiveFile(socket, '/dev/full/nowhere');
  const sender = connect(socket).on('error', () => undefined);
  const lost = new Promise((resolve) => sender.once('close', resolve));
  await assert.rejects(done, { code: 'ENOTDIR' });
  await lost;
  const unused = await receiveFile(`${socket}2`, '/nonexistent');
  unused.close();
  await assert.rejects(unused.done, /ended/);
});
