import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { answerSearch } from './agent-channels.ts';
import { MAX_QMP_LINE_BYTES, type QmpEvent, connectQmp } from './qmp-client.ts';
import { judgeExit } from './vmm-process.ts';

/** A QMP server that greets, agrees to capabilities, and leaves the rest to `onCommand`. */
async function serve(t: TestContext, onCommand: (socket: Socket, id: number) => void, greeting = '{"QMP":{}}\r\n'): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-qmp-'));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(greeting);
    socket.on('data', (data) => {
      const { execute, id } = JSON.parse(data.toString()) as { execute: string; id: number };
      if (execute === 'qmp_capabilities') socket.write(`{"return":{},"id":${id}}\r\n`);
      else onCommand(socket, id);
    });
  });
  const path = join(directory, 'q.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return path;
}

test('an answer finds its command across fragments and events between them (4.2)', async (t) => {
  const events: QmpEvent[] = [];
  const path = await serve(t, (socket, id) => {
    socket.write('{"event":"SHUTDOWN","data":{"reason":"guest-reset"}}\r\n{"return":{"a"');
    setImmediate(() => socket.write(`:1},"id":${id}}\r\n`));
  });
  const qmp = await connectQmp(path, { onEvent: (event) => events.push(event) });
  assert.deepEqual(await qmp.command('x'), { a: 1 });
  assert.deepEqual(events, [{ name: 'SHUTDOWN', data: { reason: 'guest-reset' } }]);
  qmp.close();
  await qmp.closed;
  await assert.rejects(qmp.command('y'), { code: 'VMM_FAILED' });
});

test('a refusal, silence, an endless line, and a closed socket each end the command (4.2)', async (t) => {
  const endings: ((socket: Socket, id: number) => void)[] = [
    (socket, id) => socket.write(`{"error":{"class":"GenericError","desc":"no"},"id":${id}}\r\n`),
    () => undefined,
    (socket) => socket.write('x'.repeat(MAX_QMP_LINE_BYTES + 2)),
    (socket) => socket.destroy(),
  ];
  for (const ending of endings) {
    const qmp = await connectQmp(await serve(t, ending), { onEvent: () => undefined });
    await assert.rejects(qmp.command('x', undefined, 200), { code: 'VMM_FAILED' });
    qmp.close();
  }
});

test('a server that does not greet, or is not there, is given up (3.8)', async (t) => {
  const path = await serve(t, () => undefined, '');
  await assert.rejects(connectQmp(path, { onEvent: () => undefined, timeoutMs: 50 }), { code: 'VMM_FAILED' });
  await assert.rejects(connectQmp('/nonexistent/q.sock', { onEvent: () => undefined }), { code: 'VMM_FAILED' });
});

test('the answer to BANGER-SYNC is found behind any rest of an older session, and only at its end (7.2)', () => {
  const line = 'BANGER-SYNC 0123456789abcdef\n';
  const stream = Buffer.from(`\0\0BANGER-SYNC 00\nrest${line}`);
  for (let place = 1; place < stream.length; place++) {
    const search = answerSearch(line);
    assert.equal(search(stream.subarray(0, place)), undefined);
    assert.equal(search(stream.subarray(place)), true);
  }
  assert.equal(answerSearch(line)(Buffer.from(`${line}!`)), false);
});

test("the cause of an end is QEMU's own reason, else the host's action, else the status of the process (3.5)", () => {
  assert.equal(judgeExit({ terminated: true, shutdownReason: 'guest-shutdown' }).cause, 'guest-poweroff');
  assert.equal(judgeExit({ terminated: true, status: { exitCode: null, signal: 'SIGKILL' } }).cause, 'host-request');
  assert.equal(judgeExit({ terminated: false, status: { exitCode: null, signal: 'SIGSEGV' } }).cause, 'crash');
  assert.equal(judgeExit({ terminated: false, status: { exitCode: null, signal: 'SIGSYS' } }).cause, 'forbidden-call');
  assert.equal(judgeExit({ terminated: false, status: { exitCode: 1, signal: null } }).cause, 'crash');
  assert.equal(judgeExit({ terminated: false }).cause, 'unknown');
});
