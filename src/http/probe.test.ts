import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type Server as HttpServer, createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer as createTls } from 'node:tls';
import { run } from '../host/spawn.ts';
import { createSchemeProbe, probeScheme } from './probe.ts';

const scratch = mkdtempSync(join(tmpdir(), 'banger-probe-'));
let pair: { key: Buffer; cert: Buffer };
before(async () => {
  const [key, cert] = [join(scratch, 'key'), join(scratch, 'cert')];
  const subject = ['-subj', '/CN=web.vm', '-days', '2', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  await run(['openssl', 'req', '-x509', '-keyout', key, '-out', cert, ...subject]);
  pair = { key: readFileSync(key), cert: readFileSync(cert) };
});
after(() => rmSync(scratch, { recursive: true }));

async function probed(server: Server | HttpServer): Promise<unknown> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await probeScheme('127.0.0.1', (server.address() as AddressInfo).port, 'web.vm');
  } finally {
    server.close();
  }
}

test('HTTP and HTTPS are distinguished (3.12)', async () => {
  assert.equal(await probed(createHttp((_request, response) => response.writeHead(404).end())), 'http');
  assert.equal(await probed(createHttps(pair, (_request, response) => response.writeHead(404).end())), 'https');
});

test('what speaks TLS but no HTTP, and what speaks first, is neither (3.12)', async () => {
  assert.equal(await probed(createTls(pair, (socket) => socket.end('* OK IMAP4rev1 ready\r\n'))), null);
  assert.equal(await probed(createServer((socket) => socket.on('error', () => undefined).write('SSH-2.0-other\r\n'))), null);
  assert.equal(await probed(createServer((socket) => socket.destroy())), undefined, 'perhaps too busy: it is asked again');
});

test('a server that waits for the end of a line is asked plainly (3.12)', async () => {
  const patient = createServer((socket) => {
    let said = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
      if (said.startsWith('HEAD') && said.endsWith('\r\n\r\n')) socket.end('HTTP/1.0 200 OK\r\n\r\n');
    });
  });
  assert.equal(await probed(patient), 'http');
});

test('hostile answers do no harm: silence, endless bytes, an incomplete line, a closed port (3.12)', async () => {
  const idle = createServer((socket) => socket.on('error', () => undefined));
  assert.equal(await probed(idle), undefined);
  const flood = createServer((socket) => {
    const bytes = Buffer.alloc(65_536, 'H');
    const more = (): void => {
      while (socket.writable && socket.write(bytes));
    };
    socket.on('error', () => undefined).on('drain', more);
    more();
  });
  assert.equal(await probed(flood), null);
  assert.equal(await probed(createServer((socket) => socket.on('error', () => undefined).write('HTT'))), null);
  assert.equal(await probeScheme('127.0.0.1', 1, 'web.vm'), undefined);
});

test('a VM whose ports do not answer leaves room for probes of others (12.8)', async () => {
  const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  const loud = createHttp((_request, response) => response.end()).listen(0, '127.0.0.2');
  await Promise.all([once(silent, 'listening'), once(loud, 'listening')]);
  const portOf = (server: typeof silent | typeof loud): number => (server.address() as AddressInfo).port;
  const probe = createSchemeProbe();
  const questions = Array.from({ length: 40 }, (_, n) => ({ address: '127.0.0.1', port: portOf(silent), host: 'a.vm', listener: `${n}` }));
  const silence = probe(questions);
  assert.deepEqual(await probe([{ address: '127.0.0.2', port: portOf(loud), host: 'b.vm', listener: 'b' }]), ['http']);
  await silence;
  silent.close();
  loud.close();
});

test('each listener is asked once, until another program listens (3.12)', async () => {
  let asked = 0;
  const server = createHttp((_request, response) => {
    asked++;
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const probe = createSchemeProbe();
  const question = { address: '127.0.0.1', port, host: 'web.vm', listener: 'first' };
  assert.deepEqual(await probe([question]), ['http']);
  assert.deepEqual(await probe([question]), ['http']);
  assert.equal(asked, 1);
  assert.deepEqual(await probe([{ ...question, listener: 'second' }]), ['http']);
  assert.equal(asked, 2);
  server.close();
});
