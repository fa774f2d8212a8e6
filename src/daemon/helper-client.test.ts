import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { converse } from '../lib/line-protocol.ts';
import { createHelperClient } from './helper-client.ts';

/** A helper that answers every request alike, in two pieces. @returns the path of its socket */
async function helperThatSays(t: TestContext, reply: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-helper-'));
  const path = join(directory, 'socket');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(reply.slice(0, 5));
      setTimeout(() => socket.end(reply.slice(5)), 5);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return path;
}

test('an answer of the root helper is its data lines; a refusal carries the errno (6.2)', async (t) => {
  const helper = createHelperClient(await helperThatSays(t, 'tap 1\ntap ok 2\nok\n'), 'NETWORK_FAILED', converse);
  assert.deepEqual(await helper.ask('list'), ['tap 1', 'tap ok 2']);
  assert.deepEqual(await createHelperClient(await helperThatSays(t, 'ok\n'), 'NETWORK_FAILED', converse).ask('network up'), []);
  const refusing = createHelperClient(await helperThatSays(t, 'error EBUSY there are TAPs\n'), 'STORAGE_FAILED', converse);
  await assert.rejects(refusing.ask('network down'), { code: 'STORAGE_FAILED', message: /there are TAPs/, details: { errno: 'EBUSY' } });
});

test('no helper, or one that ends in the middle, is missing, and setup is the remedy (9.2)', async (t) => {
  const missing = { code: 'PREREQUISITE_MISSING', remedy: 'sudo banger setup' };
  await assert.rejects(createHelperClient('/nonexistent/socket', 'NETWORK_FAILED').ask('list'), { ...missing, message: /ENOENT/ });
  await assert.rejects(createHelperClient(await helperThatSays(t, 'tap 1\nta'), 'NETWORK_FAILED', converse).ask('list'), missing);
});
