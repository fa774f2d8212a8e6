// What follows the first request of a connection, and requests that servers read in different ways. The guest's servers say what they heard.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import {
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
  connect as connectHttp2,
  createServer as createHttp2,
} from 'node:http2';
import { type Socket, connect } from 'node:net';
import { beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { useFront } from '../../test/support/outside/http-front.ts';

const world = useFront();
beforeEach(() => void world().heard.splice(0));

const head = (line: string, host: string, ...fields: string[]): string => [line, `Host: ${host}`, ...fields, '', ''].join('\r\n');
const GET = (host: string, path = '/'): string => head(`GET ${path} HTTP/1.1`, host);
const CHUNKED = (host: string): string =>
  `${head('POST /c HTTP/1.1', host, 'Transfer-Encoding: chunked')}3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n`;
const LENGTH = (host: string): string => `${head('POST /l HTTP/1.1', host, 'Content-Length: 3')}abc`;

/** Reads on until the text has come. */
async function until(socket: Socket, text: string): Promise<string> {
  let said = '';
  while (!said.includes(text)) said += String(await once(socket, 'data'));
  return said;
}

test('another name on the same connection is refused and never heard by the first VM (6.3)', async () => {
  for (const second of [
    GET('db.vm', '/secret'),
    GET('3000.web.vm', '/secret'),
    GET('web.localhost', '/secret'),
    head('GET /secret HTTP/1.1', 'evil.example', 'Cookie: a=b'),
    head('GET /secret HTTP/1.1', 'db.vm', 'Connection: Upgrade', 'Upgrade: websocket'),
    head('POST /secret HTTP/1.1', 'db.vm', 'Content-Length: 0'),
  ]) {
    for (const first of [GET('web.vm'), LENGTH('web.vm'), CHUNKED('web.vm'), GET('web.vm') + GET('WEB.vm.:42080', '/2')]) {
      const said = await world().talk(first + second);
      assert.match(said, /^HTTP\/1\.1 200 OK/, second);
      assert.match(said, /HTTP\/1\.1 421 Misdirected Request[^]*connection: close/, second);
    }
  }
  assert.equal(world().heard.join().includes('secret'), false);
  const proxied = await world().talk(GET('web.vm') + head('GET http://db.vm/secret HTTP/1.1', 'web.vm'));
  assert.match(proxied, /^HTTP\/1\.1 200 OK[^]* web\.vm 0 \w+$/, 'who takes it for a proxy asks again on another connection');
  const kept = connect({ host: '127.0.0.1', port: world().port });
  kept.write(GET('web.vm'));
  await until(kept, ' web.vm 0 ');
  kept.write(GET('db.vm', '/secret'));
  assert.match(await until(kept, 'HTTP/1.1'), /421/, 'one that was kept open, too');
  await once(kept, 'end');
  kept.destroy();
  assert.equal(world().heard.join().includes('secret'), false);
});

test('requests of one name follow each other, with bodies and trailers, also cut into single bytes (6.3)', async () => {
  const all = GET('web.vm', '/1') + LENGTH('web.vm') + CHUNKED('web.vm') + `\r\n${GET('web.vm', '/4')}`;
  const last = head('GET /5 HTTP/1.1', 'web.vm', 'Connection: close');
  const wanted = ['GET /1 web.vm', 'POST /l web.vm', 'POST /c web.vm', 'GET /4 web.vm', 'GET /5 web.vm'];
  const said = await world().talk(all + last);
  assert.deepEqual(world().heard.splice(0), wanted);
  assert.equal(said.match(/200 OK/g)?.length, 5);
  assert.equal(said.match(/ 3 ba7816bf/g)?.length, 2, 'both bodies are abc');
  const socket = connect({ host: '127.0.0.1', port: world().port, noDelay: true });
  for (const c of all + last) {
    socket.write(c);
    await new Promise((resolve) => setImmediate(resolve));
  }
  let slow = '';
  for await (const chunk of socket) slow += String(chunk);
  assert.deepEqual(world().heard, wanted);
  assert.equal(slow.match(/ 3 ba7816bf/g)?.length, 2);
});

test('ambiguous requests and hostile bytes are refused one by one (6.3)', async () => {
  const body = '0\r\n\r\n';
  for (const request of [
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nHost: web.vm\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nhOsT: evil.example\r\n\r\n',
    'GET / HTTP/1.1\r\nHost : web.vm\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nbroken\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nX: a\r\n folded\r\n\r\n',
    'GET / HTTP/1.1\r\nX: a\r\n Host: db.vm\r\nHost: web.vm\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\nX: a\r\n\r\n',
    'GET / HTTP/1.1\nHost: web.vm\n\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nX: a\u0000b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: web.vm\r\nX: a\rHost: db.vm\r\n\r\n',
    'GET / HTTP/1.2\r\nHost: web.vm\r\n\r\n',
    'GET  / HTTP/1.1\r\nHost: web.vm\r\n\r\n',
    'GET /\r\n\r\n',
    head('GET http://user@web.vm/ HTTP/1.1', 'web.vm'),
    head('GET https://web.vm/ HTTP/1.1', 'web.vm'),
    head('CONNECT web.vm:80 HTTP/1.1', 'web.vm'),
    head('GET * HTTP/1.1', 'web.vm'),
    head('POST / HTTP/1.1', 'web.vm', 'Content-Length: 5', 'Transfer-Encoding: chunked') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Content-Length: 5', 'Content-Length: 5') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Content-Length: 5, 5') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Content-Length: +5') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Content-Length: 0x5') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Transfer-Encoding: xchunked') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + body,
    head('POST / HTTP/1.1', 'web.vm', 'Transfer-Encoding: chunked, identity') + body,
    head('POST / HTTP/1.0', 'web.vm', 'Transfer-Encoding: chunked') + body,
    `GET / HTTP/1.1\r\nX: ${'y'.repeat(70_000)}`,
  ])
    assert.match(await world().talk(request), /^HTTP\/1\.1 400 Bad Request/, request.slice(0, 100));
  assert.deepEqual(world().heard, []);
  assert.equal(await world().talk('\u0016\u0003\u0001\u0002\u0000\u0001'), '');
  assert.match(await world().talk(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\u0000\u00ff'.repeat(3000)}`), /SETTINGS expected$/);
  assert.match((await world().get('web.vm')).body, /^GET/, 'and it goes on');
});

test('a chunked body that is none ends the connection, and the guest learns of no end of it (6.3)', async () => {
  const open = head('POST /c HTTP/1.1', 'web.vm', 'Transfer-Encoding: chunked');
  for (const body of [
    '-1\r\n',
    '3\nabc\n0\n\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '3 3\r\n',
    'g\r\n',
    `3;${'x'.repeat(5000)}`,
    '0\r\nX y\r\n\r\n',
    '0x3\r\nabc\r\n',
  ])
    assert.doesNotMatch(await world().talk(open + body + GET('web.vm', '/next')), /200 OK/, body.slice(0, 20));
  assert.equal(world().heard.includes('GET /next web.vm'), false);
});

test('a whole URI as the target is served like any other, and wins over Host (6.3)', async () => {
  for (const [line, wanted] of [
    [head('GET http://web.vm/a?b HTTP/1.1', 'web.vm'), 'GET /a?b web.vm'],
    [head('GET HTTP://3000.web.vm:42080 HTTP/1.1', 'evil.example'), 'GET / 3000.web.vm:42080'],
    [head('GET http://web.localhost?q HTTP/1.1', 'web.vm', 'X: y'), 'GET /?q web.localhost'],
    ['GET http://web.vm/ HTTP/1.0\r\n\r\n', 'GET / web.vm'],
    [head('OPTIONS http://web.vm HTTP/1.1', 'web.vm'), 'OPTIONS * web.vm'],
    [head('OPTIONS * HTTP/1.1', 'web.vm'), 'OPTIONS * web.vm'],
  ] as const) {
    const socket = connect({ host: '127.0.0.1', port: world().port });
    socket.write(line);
    await until(socket, '200 OK');
    socket.destroy();
    assert.deepEqual(world().heard.splice(0), [wanted]);
  }
  assert.match(await world().talk(head('GET http://evil.example/ HTTP/1.1', 'web.vm')), /^HTTP\/1\.1 404/, 'and it is no proxy');
});

test('after 101 all is a tunnel; before it, and when it is declined, nothing is (6.3)', async () => {
  const upgrade = head('GET /up HTTP/1.1', '4000.web.vm', 'Connection: Upgrade', 'Upgrade: websocket');
  const socket = connect({ host: '127.0.0.1', port: world().port });
  // Also when the connection was used before, and when bytes follow without waiting.
  socket.write(GET('4000.web.vm', '/before'));
  await until(socket, '/before');
  socket.write(`${upgrade}${GET('db.vm', '/echoed')}`);
  assert.match(await until(socket, '/echoed'), /^HTTP\/1\.1 101 [^]*\r\n\r\nGET \/echoed HTTP\/1\.1\r\nHost: db\.vm/);
  socket.write('\u0000more');
  assert.match(await until(socket, 'more'), /more$/);
  socket.destroy();
  assert.deepEqual(world().heard.splice(0), ['GET /before 4000.web.vm', 'UPGRADE /up 4000.web.vm']);
  const declining = createHttp((request, response) => {
    world().heard.push(String(request.url));
    response.writeEarlyHints({ link: '</a>; rel=preload' });
    setImmediate(() => response.end('declined'));
  });
  await world().serve(4001, declining);
  await world().serve(
    4002,
    createHttp(declining.listeners('request')[0] as never).on('upgrade', (_request, peer: Socket) => peer.end('HTTP/1.0 400 No\r\n\r\n')),
  );
  const other = upgrade.replace('4000', '4001').replaceAll('/up', '/declined');
  // The process learns of a port by a message of its own, which a connection may overtake.
  while ((await world().get('4002.web.vm')).status !== 200);
  world().heard.splice(0);
  const said = await world().talk(other + GET('4001.web.vm', '/next') + GET('db.vm', '/secret'));
  assert.match(said, /^HTTP\/1\.1 103 Early[^]*200 OK[^]*declined[^]*200 OK[^]*421/);
  assert.deepEqual(world().heard, ['/declined', '/next']);
  assert.match(await world().talk(upgrade.replace('4000', '4002')), /^HTTP\/1\.0 400 No/);
});

test('an upgrade to HTTP/2 is not passed on, as names could follow in it unseen (6.3)', async () => {
  const fields = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
  assert.match(await world().talk(head('GET /h2c HTTP/1.0', '4000.web.vm', ...fields)), /^HTTP\/1\.1 200 OK/);
  assert.deepEqual(world().heard, ['GET /h2c 4000.web.vm']);
});

test('streams in both directions, continue and slow answers pass as they come (6.3)', async () => {
  const streaming = createHttp((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    request.pipe(response);
  });
  await world().serve(4003, streaming);
  while ((await world().get('4003.web.vm')).status !== 200);
  const socket = connect({ host: '127.0.0.1', port: world().port });
  socket.write(head('POST / HTTP/1.1', '4003.web.vm', 'Transfer-Encoding: chunked', 'Expect: 100-continue'));
  assert.match(await until(socket, '200 OK'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  for (const word of ['one', 'two']) {
    socket.write(`3\r\n${word}\r\n`);
    await until(socket, word);
  }
  socket.destroy();
});

function http2(port: number): {
  session: ClientHttp2Session;
  ask(authority: string, headers?: object): Promise<[number | undefined, string]>;
} {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  return {
    session,
    async ask(authority, headers = {}) {
      const stream = session.request({ ':path': '/', ':authority': authority, ...headers });
      let [status, body]: [number | undefined, string] = [undefined, ''];
      stream.on('response', (answer) => (status = answer[':status']));
      for await (const chunk of stream.setEncoding('utf8')) body += String(chunk);
      return [status, body];
    },
  };
}

test('HTTP/2 with prior knowledge is routed by its authority, stream by stream (6.3)', async () => {
  const { session, ask } = http2(world().port);
  assert.deepEqual(await ask('5000.web.vm'), [200, 'h2 5000.web.vm']);
  for (const authority of ['db.vm', '3000.web.vm', 'evil.example']) assert.equal((await ask(authority, { ':path': '/secret' }))[0], 421);
  for (const [authority, headers] of [
    ['5000.web.vm', { host: 'db.vm' }],
    ['u@5000.web.vm', {}],
  ] as const) {
    // What reads the frames may find out before us.
    const status = await ask(authority, { ':path': '/secret', ...headers }).then(
      ([given]) => given,
      (error: NodeJS.ErrnoException) => error.code,
    );
    assert.ok(status === 400 || status === 'ERR_HTTP2_STREAM_ERROR', `${authority} ${status}`);
  }
  assert.deepEqual(await ask('5000.WEB.vm.'), [200, 'h2 5000.WEB.vm.'], 'and it goes on');
  session.close();
  assert.equal(world().heard.join().includes('secret'), false);
  const stopped = http2(world().port);
  const [status, page] = await stopped.ask('slept.vm', { accept: 'text/html' });
  assert.equal(status, 503);
  assert.match(page, /banger vm start slept/);
  stopped.session.close();
  const plain = http2(world().port);
  assert.equal((await plain.ask('7001.web.vm'))[0], 502);
  plain.session.close();
});

test('HTTP/2 streams keep their bodies in both directions, interim answers, trailers and codes (6.3)', async () => {
  const server = createHttp2();
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    if (headers[':path'] === '/broken') return stream.close(11);
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    stream.respond({ ':status': 200, 'x-te': String(headers.te) }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
  await world().serve(4004, server);
  while (
    (
      await http2(world().port)
        .ask('4004.web.vm')
        .catch(() => [0])
    )[0] !== 200
  )
    await sleep(10);
  const { session } = http2(world().port);
  const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': '4004.web.vm', te: 'trailers' });
  const interim = once(stream, 'headers');
  const trailers = once(stream, 'trailers');
  stream.write('one');
  assert.equal(String(await once(stream, 'data')), 'one');
  const bytes = Buffer.alloc(8 * 1024 ** 2, 'x');
  stream.end(bytes);
  let length = 0;
  for await (const chunk of stream) length += (chunk as Buffer).length;
  assert.equal(length, bytes.length);
  assert.equal(((await interim) as [{ ':status': number }])[0][':status'], 103);
  assert.equal(((await trailers) as [Record<string, string>])[0]['grpc-status'], '0');
  const broken = session.request({ ':path': '/broken', ':authority': '4004.web.vm' });
  broken.on('error', () => undefined);
  await new Promise((resolve) => broken.on('close', resolve));
  assert.equal(broken.rstCode, 11);
  session.close();
});
