import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { BangerError } from '../model/errors.ts';
import { bodyOf, createSend, encodeHead, parseHead, readJson, readNdjson } from './send.ts';

let directory: string;
let server: Server;
let behave: (socket: Socket, head: string) => void;
const closed: Promise<void>[] = [];
before(async () => {
  directory = mkdtempSync(`${tmpdir()}/banger-client-`);
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    closed.push(new Promise((resolve) => socket.once('close', () => resolve())));
    socket.once('data', (chunk) => behave(socket, chunk.toString('latin1')));
  });
  await new Promise<void>((resolve) => server.listen(`${directory}/s`, resolve));
});
after(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});
const send = () => createSend(`${directory}/s`);
const get = (signal?: AbortSignal) => send()({ method: 'GET', path: '/v1/x', ...(signal === undefined ? {} : { signal }) });
const hasCode = (code: string, text?: RegExp) => (error: unknown) =>
  error instanceof BangerError && error.code === code && (text === undefined || text.test(error.message));

test('requests are HTTP/1.0 so that bodies end where the stream ends, upgrades are HTTP/1.1 (1.1)', () => {
  assert.equal(encodeHead({ method: 'GET', path: '/v1/vms' }, undefined), 'GET /v1/vms HTTP/1.0\r\nHost: banger\r\n\r\n');
  const upgrade = encodeHead({ method: 'POST', path: '/x', upgrade: true, headers: { A: 'b' } }, Buffer.from('{}'));
  assert.match(upgrade, /^POST \/x HTTP\/1\.1\r\n/);
  assert.match(upgrade, /\r\nConnection: Upgrade\r\nUpgrade: banger-frames\r\n/);
  assert.match(upgrade, /\r\nContent-Length: 2\r\nA: b\r\n\r\n$/);
});

test('a head is parsed or refused, never guessed (1.1)', () => {
  assert.equal(parseHead('HTTP/1.1 200 OK\r\nA: b: c\r\nX-Y:z')?.headers.get('a'), 'b: c');
  for (const text of ['', 'HTTP/2 200', 'HTTP/1.1 20', 'HTTP/1.1 200 OK\r\nno colon', 'SSH-2.0-x'])
    assert.equal(parseHead(text), undefined, text);
});

test('NDJSON comes out whole however it is cut (1.4)', async () => {
  const lines = [{ a: 'ä😀' }, { b: 2 }, { c: null }];
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n\r\n${lines.map((line) => `${JSON.stringify(line)}\n`).join('\n')}`);
  for (let cut = 1; cut < bytes.length; cut += 3) {
    behave = (socket) => {
      socket.setNoDelay(true);
      socket.write(bytes.subarray(0, cut));
      setImmediate(() => socket.end(bytes.subarray(cut)));
    };
    assert.deepEqual(await Array.fromAsync(readNdjson(await get())), lines);
  }
});

test('a stream that ends within a line is an error, not a short answer (1.4)', async () => {
  behave = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{"a":1}\n{"b":');
  await assert.rejects(Array.fromAsync(readNdjson(await get())), hasCode('DAEMON_UNREACHABLE', /middle of a line/));
  behave = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{"a":1}\nhello\n');
  await assert.rejects(Array.fromAsync(readNdjson(await get())), hasCode('INTERNAL', /not JSON/));
});

test('errors arrive as they were thrown, with remedy, details and log (1.6)', async () => {
  const body = JSON.stringify({ code: 'NAME_TAKEN', message: 'web exists', remedy: 'r', details: { a: 1 }, logPath: '/l', undo: ['u'] });
  behave = (socket) => socket.end(`HTTP/1.1 409 Conflict\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await assert.rejects(get(), (error) => {
    assert.ok(error instanceof BangerError);
    assert.deepEqual(
      [error.code, error.message, error.remedy, error.details, error.logPath],
      ['NAME_TAKEN', 'web exists', 'r', { a: 1 }, '/l'],
    );
    assert.equal(error.undoErrors[0]?.message, 'u');
    return true;
  });
});

test('a program that is no daemon is recognised (1.6)', async () => {
  const cases: [string, string, RegExp][] = [
    ['HTTP/1.1 500 Oops\r\n\r\n<html>', 'INTERNAL', /status 500/],
    ['hello\r\n\r\n', 'INTERNAL', /not HTTP/],
    [`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(20_000)}`, 'INTERNAL', /not HTTP/],
    ['', 'DAEMON_UNREACHABLE', /before it answered/],
    ['HTTP/1.1 200', 'DAEMON_UNREACHABLE', /before it answered/],
    ['HTTP/1.1 101 Switching\r\n\r\n', 'INTERNAL', /101/],
  ];
  for (const [reply, code, text] of cases) {
    behave = (socket) => socket.end(reply);
    await assert.rejects(get(), hasCode(code, text), reply.slice(0, 20));
  }
});

test('a JSON body that is cut is an error (1.6)', async () => {
  behave = (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a":');
  await assert.rejects(readJson(await get()), hasCode('DAEMON_UNREACHABLE', /middle of its answer/));
});

test('a missing socket, and one without a listener, mean that the daemon does not run (1.2)', async () => {
  const absent = (error: unknown) => error instanceof BangerError && error.details?.['absent'] === true;
  await assert.rejects(createSend(`${directory}/none`)({ method: 'GET', path: '/' }), absent);
});

test('aborting closes the connection, before and after the answer began (1.4)', async () => {
  const early = new AbortController();
  behave = () => setImmediate(() => early.abort());
  await assert.rejects(get(early.signal), hasCode('CANCELLED'));
  const late = new AbortController();
  behave = (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nfirst');
  const body = bodyOf(await get(late.signal));
  assert.equal((await body.next()).value?.toString(), 'first');
  late.abort();
  await assert.rejects(body.next(), BangerError);
  await Promise.all(closed);
});

test('an upload that is refused early ends with the refusal, not with a broken pipe (3.13)', async () => {
  behave = (socket) => {
    const body = '{"code":"GUEST_FILE","message":"no"}';
    socket.end(`HTTP/1.1 422 No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  };
  async function* endless() {
    for (;;) yield Buffer.alloc(65_536);
  }
  const upload = { bytes: endless(), sizeBytes: 1e12 };
  await assert.rejects(send()({ method: 'PUT', path: '/v1/f', upload }), hasCode('GUEST_FILE'));
});

test('the raw stream after an upgrade starts with the first byte after the head (3.13)', async () => {
  behave = (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\nframes');
    socket.on('data', (chunk) => socket.end(chunk));
  };
  const { socket } = await send()({ method: 'POST', path: '/v1/e', json: {}, upgrade: true });
  socket.write('pong');
  const chunks = await Array.fromAsync(socket as AsyncIterable<Buffer>);
  assert.equal(Buffer.concat(chunks).toString(), 'framespong');
});
