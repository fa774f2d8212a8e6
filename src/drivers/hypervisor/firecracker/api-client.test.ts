import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BangerError } from '../../../model/errors.ts';
import { realHost } from '../../../host/host.ts';
import { AgentChannels } from './agent-channels.ts';
import { type ApiPlace, connectApi } from './api-client.ts';
import { MetricsPipe } from './metrics.ts';

/** A Unix socket whose connections `onData` answers. */
async function serve(t: TestContext, onData: (socket: Socket, text: string, nth: number) => void): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-api-'));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const nth = sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => onData(socket, data.toString('latin1'), nth));
  });
  const path = join(directory, 's');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return path;
}

const reply = (status: string, body: string): string => `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const START = { method: 'PUT', path: '/actions', body: { action_type: 'InstanceStart' } } as const;

const placeOf = (path: string): ApiPlace => ({ path, connect: realHost.connectUnix });

test("a refusal carries Firecracker's own reason (4.1)", async (t) => {
  const api = await connectApi(
    placeOf(await serve(t, (socket) => void socket.write(reply('400 Bad Request', '{"fault_message":"no kernel"}')))),
  );
  t.after(() => api.close());
  await assert.rejects(api.send(START), (error: unknown) => {
    assert.ok(error instanceof BangerError);
    assert.deepEqual([error.code, error.details?.['fault'], error.details?.['request']], ['VMM_FAILED', 'no kernel', 'PUT /actions']);
    return true;
  });
});

test('an answer that is endless, no HTTP, cut or not of Firecracker is an error (4.1)', async (t) => {
  const answers: ((socket: Socket) => void)[] = [
    (socket) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n${'x'.repeat(2 * 1024 ** 2)}`),
    (socket) => void socket.write('nonsense\r\n\r\n'),
    (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{'),
    (socket) => void socket.write(reply('200 OK', '[]')),
    (socket) => socket.destroy(),
  ];
  for (const answer of answers) {
    const api = await connectApi(placeOf(await serve(t, answer)));
    await assert.rejects(api.describe(2000), { code: 'VMM_FAILED' });
    api.close();
  }
});

test('a process that says nothing is given up, one that is gone shows at once (3.8)', async (t) => {
  const silent = await connectApi(placeOf(await serve(t, () => undefined)));
  await assert.rejects(silent.describe(50), { code: 'VMM_FAILED' });
  silent.close();
  await silent.closed;
  await assert.rejects(silent.send(START), { code: 'VMM_FAILED' });
  await assert.rejects(connectApi(placeOf('/nonexistent/api.sock')), { code: 'VMM_FAILED' });
  const started = performance.now();
  await assert.rejects(connectApi(placeOf('/nonexistent/api.sock'), { retryWhile: () => true, timeoutMs: 60 }), { code: 'VMM_FAILED' });
  assert.ok(performance.now() - started >= 60);
});

test('a guest that refuses is asked again, one that answers nonsense is not believed (7.2)', async (t) => {
  const answers = ['', `OK ${'1'.repeat(40)}\n`, 'NO 1\n', 'OK 1\nHTTP/1.1 200', 'OK 1024\n'];
  const lines: string[] = [];
  const path = await serve(t, (socket, text, nth) => {
    lines.push(text);
    socket.write(answers[nth - 1] ?? '');
    if (answers[nth - 1] === '') socket.end();
  });
  const channels = new AgentChannels(() => realHost.connectUnix(path));
  const channel = await channels.open(AbortSignal.timeout(5000));
  assert.equal(lines.length, answers.length);
  assert.deepEqual([...new Set(lines)], ['CONNECT 5123\n']);
  channel.destroy();
  const waiting = channels.open(AbortSignal.timeout(5000));
  channels.close();
  await assert.rejects(waiting, { code: 'AGENT_UNREACHABLE' });
});

test('metrics are whole lines; the rest of a cut one is skipped, an endless one is dropped (4.1)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-fifo-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'm');
  await realHost.makeFifos([path]);
  const metrics = new MetricsPipe(realHost.openFifo(path));
  t.after(() => metrics.close());
  const writer = await open(path, 'r+');
  t.after(() => writer.close());
  const next = metrics.next(2000);
  await writer.write('t":1}\n{"a":');
  await writer.write('1}\n');
  assert.deepEqual(await next, { a: 1 });
  assert.equal(await metrics.next(20), undefined);
  for (let i = 0; i < 10; i++) await writer.write('x'.repeat(60_000));
  const after = metrics.next(2000);
  await writer.write('\n{"b":2}\n');
  assert.deepEqual(await after, { b: 2 });
});
