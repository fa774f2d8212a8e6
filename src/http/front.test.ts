// The front with its own process, in front of servers that play guests on loopback addresses of their own.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, createServer as createHttp, request as httpRequest } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnChannel } from '../host/spawn.ts';
import { type HttpFront, type Look, createHttpFront } from './front.ts';

// Of this process alone, as others may run the same test.
const WEB = `127.99.${process.pid % 250}.2`;
const OTHER = `127.99.${process.pid % 250}.3`;
const servers: Server[] = [];
const asked: [string, boolean][] = [];
const standings: Record<string, ReturnType<Look>> = { slept: 'stopped', waking: 'starting' };
let front: HttpFront;
let port = 0;
let plain = 0;

async function serve(server: Server): Promise<number> {
  server.listen(0, WEB);
  await once(server, 'listening');
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

/** Says what it got; a body comes back as its length and hash. */
const echo: RequestListener = (request, response) => {
  const hash = createHash('sha256');
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  request.on('end', () =>
    response.end(`${request.method} ${request.url} ${request.headers.host} ${length} ${hash.digest('hex').slice(0, 8)}`),
  );
};

const http2Server = createHttp2((request, response) => response.end(`h2 ${request.headers[':authority']}`));

before(async () => {
  plain = await serve(createHttp(echo));
  const upgrading = createHttp(echo).on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  const ports = [
    { guestPort: 22, hostPort: 1 },
    { guestPort: 3000, hostPort: plain },
    { guestPort: 4000, hostPort: await serve(upgrading) },
    { guestPort: 5000, hostPort: await serve(http2Server) },
    { guestPort: 6000, hostPort: await serve(createServer((socket) => socket.end(`raw ${socket.localAddress}`))) },
    { guestPort: 7000, hostPort: 1 },
    { guestPort: 7001, hostPort: await serve(createServer((socket) => socket.resetAndDestroy())) },
  ];
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  port = (free.address() as AddressInfo).port;
  free.close();
  const program = join(import.meta.dirname, 'front-process.ts');
  front = createHttpFront({ address: '127.0.0.1', port, start: () => spawnChannel([process.execPath, program]), log: () => undefined });
  await front.start((name, wake) => {
    asked.push([name, wake]);
    return standings[name] ?? 'unknown';
  });
  await front.open('web', WEB);
  front.setPorts(WEB, ports);
});

after(async () => {
  await front.stop();
  for (const server of servers) server.close();
});

type Answer = { status: number | undefined; headers: IncomingMessage['headers']; body: string };

function get(
  host: string,
  options: { path?: string; headers?: Record<string, string>; body?: Buffer; at?: string; port?: number } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = options.body === undefined ? 'GET' : 'POST';
    const where = { host: options.at ?? '127.0.0.1', port: options.port ?? port };
    const call = httpRequest(
      { ...where, method, path: options.path ?? '/', headers: { host, ...options.headers }, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
      },
    );
    call.on('error', reject).end(options.body);
  });
}

function talk(text: string, at = '127.0.0.1', to = port): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect({ host: at, port: to, allowHalfOpen: true }, () => socket.write(text));
    socket.on('data', (chunk) => (said += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(said));
  });
}

test('a name leads to a usual port, a number before it to that port (6.3)', async () => {
  assert.match((await get('web.vm', { path: '/a?b' })).body, /^GET \/a\?b web\.vm 0 /);
  assert.match((await get('3000.web.vm:42080')).body, /^GET \/ 3000\.web\.vm:42080 0 /);
  assert.match((await get('shop.web.vm')).body, /shop\.web\.vm/, 'and names below it too');
});

test("the VM's own address answers as well, on 80 or the same port, to its name and its number (6.3)", async () => {
  const own = front.portOf(WEB) ?? 0;
  assert.ok(own === 80 || own === port, String(own));
  assert.match((await get('web.vm', { at: WEB, port: own })).body, /web\.vm/);
  assert.match((await get(WEB, { at: WEB, port: own })).body, /^GET/);
  assert.equal((await get(WEB)).status, 404, 'elsewhere a number is nobody');
});

test('bodies pass whole in both directions, and as they come (6.3)', async () => {
  const body = Buffer.alloc(20 * 1024 ** 2, 'x');
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 8);
  assert.match((await get('web.vm', { body })).body, new RegExp(` ${body.length} ${hash}$`));
  const socket = connect({ host: '127.0.0.1', port });
  socket.write('GET / HTTP/1.1\r\nHost: 4000.web.vm\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  assert.match(String(await once(socket, 'data')), /101 Switching/);
  for (const word of ['one', 'two']) {
    socket.write(word);
    assert.equal(String(await once(socket, 'data')), word);
  }
  socket.destroy();
});

test('a head that comes byte by byte is waited for, half-closed connections get their answer (6.3)', async () => {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
  for (const c of 'GET / HTTP/1.0\r\nHost: web.vm\r\n\r\n') {
    socket.write(c);
    await sleep(1);
  }
  socket.end();
  let said = '';
  for await (const chunk of socket) said += String(chunk);
  assert.match(said, /200 OK[^]*GET \/ web\.vm/);
});

test('HTTP/2 with prior knowledge goes by its authority, also when the client waits for the server to speak (6.3)', async () => {
  const ask = async (authority: string): Promise<[number | undefined, string]> => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const stream = session.request({ ':path': '/', ':authority': authority, accept: 'text/html' });
    let [status, body]: [number | undefined, string] = [undefined, ''];
    stream.on('response', (headers) => (status = headers[':status']));
    for await (const chunk of stream.setEncoding('utf8')) body += String(chunk);
    session.close();
    return [status, body];
  };
  assert.deepEqual(await ask('5000.web.vm'), [200, 'h2 5000.web.vm']);
  const [status, page] = await ask('slept.vm');
  assert.equal(status, 503);
  assert.match(page, /banger vm start slept/);
  // Preface and SETTINGS; then nothing until the server's SETTINGS came; then ACK and a HEADERS frame (RFC 7541 C.4 for the authority).
  const socket = connect({ host: '127.0.0.1', port });
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('000000040000000000', 'hex')]));
  const [settings] = (await once(socket, 'data')) as [Buffer];
  assert.equal(settings.toString('hex'), '000000040000000000');
  const name = Buffer.from('5000.web.vm');
  const block = Buffer.concat([Buffer.from([0x82, 0x86, 0x84, 0x41, name.length]), name]);
  socket.write(Buffer.concat([Buffer.from('000000040100000000', 'hex'), Buffer.from([0, 0, block.length, 1, 5, 0, 0, 0, 1]), block]));
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  while (!answer.includes('h2 5000.web.vm')) await sleep(5);
  socket.destroy();
});

test('a VM that does not run says how to start it; one that nobody knows says nothing (6.3)', async () => {
  const html = { accept: 'text/html,*/*' };
  const stopped = await get('slept.vm', { headers: html });
  assert.deepEqual([stopped.status, stopped.headers['content-type']], [503, 'text/html; charset=utf-8']);
  assert.match(stopped.body, /<h1>slept is stopped<\/h1>[^]*<code>banger vm start slept<\/code>/);
  const waking = await get('3000.waking.vm', { headers: html });
  assert.deepEqual([waking.status, waking.headers['retry-after']], [503, '2']);
  assert.match(waking.body, /http-equiv="refresh"/);
  assert.match((await get('slept.vm')).body, /^slept is stopped\n[^<]*banger vm start slept\n$/, 'programs get text');
  const unknown = await get('nobody.vm', { headers: html });
  assert.equal(unknown.status, 404);
  assert.doesNotMatch(unknown.body, /web|slept|waking|nobody/);
});

test('a page of another site cannot start a machine, nor be led to names that are not ours (6.3)', async () => {
  asked.length = 0;
  await get('slept.vm', { headers: { 'sec-fetch-site': 'cross-site' } });
  await get('slept.vm', { headers: { 'sec-fetch-site': 'none' } });
  assert.deepEqual(asked, [
    ['slept', false],
    ['slept', true],
  ]);
  for (const host of ['evil.example', '127.0.0.1', 'localhost', 'web.vm.evil.example', 'xn--web.vm<script>']) {
    const { status, body } = await get(host, { headers: { accept: 'text/html' } });
    assert.equal(status, 404, host);
    assert.equal(body.includes('script'), false);
  }
  assert.equal(asked.length, 2);
});

test('a port that nobody serves is told apart from a VM that does not run (6.3)', async () => {
  assert.equal((await get('9.web.vm')).status, 502);
  for (const host of ['7000.web.vm', '7001.web.vm']) {
    const { status, body } = await get(host);
    assert.equal(status, 502);
    assert.match(body, /Nothing listens on port 700\d of web[^]*banger vm ports web/);
  }
});

test('what can be read in two ways, and hostile bytes, are refused one by one (6.3)', async () => {
  for (const head of [
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nHost: evil.example\r\n\r\n',
    'GET http://web.vm/ HTTP/1.1\r\nHost: web.vm\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nbroken\r\n\r\n',
    'CONNECT web.vm:80 HTTP/1.1\r\nHost: web.vm\r\n\r\n',
  ])
    assert.match(await talk(head), /^HTTP\/1\.1 400 Bad Request/, head);
  assert.equal(await talk('\u0016\u0003\u0001\u0002\u0000\u0001'), '');
  assert.equal(await talk(`GET / HTTP/1.1\r\nX: ${'y'.repeat(40_000)}`), '');
  assert.equal(await talk(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\u0000\u00ff'.repeat(3000)}`), '');
  assert.match((await get('web.vm')).body, /^GET/, 'and it goes on');
});

test('many connections at once, each to its own place (6.3)', async () => {
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, at) => get(at % 2 === 0 ? 'web.vm' : '3000.web.vm', { path: `/${at}` })),
  );
  for (const [at, { body }] of answers.entries()) assert.match(body, new RegExp(`^GET /${at} `));
});

test('a VM that gets another name is found by it, one that goes leaves no listener (6.3)', async () => {
  // The process learns of it by a message of its own, which a connection may overtake.
  const comesTrue = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo())) await sleep(10);
  };
  front.close('web');
  await front.open('shop', WEB);
  front.setPorts(WEB, [{ guestPort: 3000, hostPort: plain }]);
  await comesTrue(async () => (await get('shop.vm')).body.includes('shop.vm') && (await get('web.vm')).status === 404);
  front.close('shop');
  await comesTrue(async () => (await get('shop.vm')).status === 404);
  await comesTrue(() =>
    get('shop.vm', { at: WEB, port }).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
    ),
  );
});

test('when the process ends, the next connection starts another (6.3)', async (t) => {
  const started: ReturnType<typeof spawnChannel>[] = [];
  const own = createHttpFront({
    address: OTHER,
    port: 42_099,
    start: () => {
      const made = spawnChannel<never, never>([process.execPath, join(import.meta.dirname, 'front-process.ts')]);
      started.push(made);
      return made;
    },
    log: () => undefined,
  });
  t.after(() => own.stop());
  await own.start(() => 'stopped');
  const ask = () => get('any.vm', { at: OTHER, port: 42_099 });
  assert.equal((await ask()).status, 503);
  assert.equal((await ask()).status, 503);
  assert.equal(started.length, 1);
  started[0]?.end();
  let answer: Answer | undefined;
  while (answer?.status !== 503 || started.at(1) === undefined) {
    answer = await ask().catch(() => undefined);
    await sleep(20);
  }
});
