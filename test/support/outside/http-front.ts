// The HTTP front as its own process, before servers that stand in for guests, each on its own loopback address.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, createServer as createHttp, request as httpRequest } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { spawnChannel } from '../../../src/host/spawn.ts';
import { type HttpFront, type Look, createHttpFront } from '../../../src/http/front.ts';

export const FRONT_PROGRAM = join(import.meta.dirname, '../../../src/http/front-process.ts');

export type Answer = { status: number | undefined; headers: IncomingMessage['headers']; body: string };

type Call = { path?: string; headers?: Record<string, string>; body?: Buffer; method?: string; at?: string; port?: number };

export type FrontWorld = {
  front: HttpFront;
  /** The front's port on 127.0.0.1. */
  port: number;
  /** The address of the VM `web`. */
  address: string;
  /** Questions about VMs that do not run. */
  asked: [name: string, wake: boolean][];
  /** The answers to these questions; without one, the VM is unknown. */
  standings: Map<string, ReturnType<Look>>;
  /** Method, path and Host of the requests to the guest's servers, in order. */
  heard: string[];
  /** Serves as a port of the guest. */
  serve(guestPort: number, server: Server): Promise<void>;
  get(host: string, options?: Call): Promise<Answer>;
  /** @returns everything that the front sends until it ends the connection */
  talk(text: string, at?: string): Promise<string>;
};

/** Registers hooks; 22, 3000 (echo), 4000 (upgrades), 5000 (HTTP/2), 7000 (nobody) and 7001 (resets) are ports of the VM `web`. */
export function useFront(): () => FrontWorld {
  let world: FrontWorld | undefined;
  const servers: Server[] = [];
  before(async () => {
    // Only for this process, because others may run the same test.
    const address = `127.${100 + (process.pid % 100)}.${process.pid % 250}.2`;
    const port = await freePort();
    const front = createHttpFront({
      address: '127.0.0.1',
      port,
      start: () => spawnChannel([process.execPath, FRONT_PROGRAM]),
      log: () => undefined,
    });
    const ports = [22, 7000].map((guestPort) => ({ guestPort, hostPort: 1 }));
    const made: FrontWorld = {
      ...{ front, port, address, asked: [], standings: new Map([['slept', 'stopped'] as const]), heard: [] },
      async serve(guestPort, server) {
        server.listen(0, address);
        await once(server, 'listening');
        servers.push(server);
        ports.push({ guestPort, hostPort: (server.address() as AddressInfo).port });
        front.setPorts(address, ports);
      },
      get: (host, options = {}) => get(host, { port, ...options }),
      talk: (text, at = '127.0.0.1') => talk(text, at, port),
    };
    await front.start((name, wake) => {
      made.asked.push([name, wake]);
      return made.standings.get(name) ?? 'unknown';
    });
    await front.open('web', address);
    await serveAll(made);
    world = made;
  });
  after(async () => {
    await world?.front.stop();
    for (const server of servers) server.close();
  });
  return () => {
    if (world === undefined) throw new Error('the front is not up');
    return world;
  };
}

async function serveAll({ serve, heard }: FrontWorld): Promise<void> {
  /** Returns what it received; a body comes back as its length and hash. */
  const echo: RequestListener = (request, response) => {
    heard.push(`${request.method} ${request.url} ${request.headers.host}`);
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
  await serve(3000, createHttp(echo));
  const upgrading = createHttp(echo).on('upgrade', (request, socket) => {
    heard.push(`UPGRADE ${request.url} ${request.headers.host}`);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  await serve(4000, upgrading);
  const http2 = createHttp2((request, response) => {
    heard.push(`h2 ${request.headers[':path']} ${request.headers[':authority']}`);
    response.end(`h2 ${request.headers[':authority']}`);
  });
  await serve(5000, http2);
  await serve(
    7001,
    createServer((socket) => socket.resetAndDestroy()),
  );
}

async function freePort(): Promise<number> {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  return port;
}

export function get(host: string, options: Call & { port: number }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
    const where = { host: options.at ?? '127.0.0.1', port: options.port };
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

function talk(text: string, at: string, to: number): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect({ host: at, port: to, allowHalfOpen: true }, () => socket.write(Buffer.from(text, 'latin1')));
    socket.on('data', (chunk) => (said += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(said));
  });
}
