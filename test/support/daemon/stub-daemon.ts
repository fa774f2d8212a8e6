// A small daemon for tests of the CLI: real HTTP on a real socket, with prepared replies.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation, OperationEvent, VmView } from '../../../src/api/schemas.ts';

export type Seen = { method: string; url: string; body: unknown; headers: IncomingMessage['headers'] };
export type Route = (response: ServerResponse, seen: Seen) => void | Promise<void>;

export type StubDaemon = {
  directory: string;
  socketPath: string;
  /** Requests so far, "METHOD /path". */
  requests: string[];
  seen: Seen[];
  env: Record<string, string>;
  close(): Promise<void>;
};

export type StubOptions = {
  /** By "METHOD /path" without query. */
  routes: Record<string, Route>;
  onUpgrade?: (socket: Duplex, seen: Seen) => void;
  build?: string;
};

/** Starts a stub on a socket in a directory of its own; `env` makes a CLI use it and never start a real daemon. */
export async function startStubDaemon(options: StubOptions): Promise<StubDaemon> {
  const directory = mkdtempSync(`${tmpdir()}/banger-stub-`);
  const socketPath = `${directory}/bangerd.sock`;
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then(async (body) => {
      const entry = { method: request.method ?? '', url: request.url ?? '', body, headers: request.headers };
      seen.push(entry);
      response.setHeader('Banger-Build', options.build ?? 'dev');
      const route = options.routes[`${entry.method} ${entry.url.split('?')[0]}`];
      if (route === undefined) fail(response, 404, { code: 'NOT_FOUND', message: `no route ${entry.method} ${entry.url}` });
      else await route(response, entry);
    });
  });
  const sockets = new Set<Duplex>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => undefined);
    if (head.length > 0) socket.unshift(head);
    // Node delivers the body of an upgrade request through the request, and what follows through the socket.
    void readBody(request).then((body) => {
      const entry = { method: request.method ?? '', url: request.url ?? '', body, headers: request.headers };
      seen.push(entry);
      if (options.onUpgrade !== undefined) return options.onUpgrade(socket, entry);
      const text = JSON.stringify({ code: 'NOT_FOUND', message: `no route ${entry.method} ${entry.url}` });
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    directory,
    socketPath,
    seen,
    get requests() {
      return seen.map((entry) => `${entry.method} ${entry.url}`);
    },
    env: {
      BANGER_RUNTIME_DIR: directory,
      BANGER_STATE_DIR: `${directory}/state`,
      BANGER_NO_AUTOSTART: '1',
      PATH: process.env['PATH'] ?? '',
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      // Upgraded connections too, which the server no longer counts as its own.
      for (const socket of sockets) socket.destroy();
      await closed;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (request.headers['content-type'] !== 'application/json') return bytes.length === 0 ? undefined : bytes;
  return JSON.parse(bytes.toString('utf8'));
}

/** Answers with JSON. */
export function answer(value: unknown, status = 200): Route {
  return (response) => void response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

export function fail(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** Answers with an NDJSON stream, cut into pieces of `pieceBytes`. */
export function stream(events: readonly OperationEvent[], pieceBytes = 7): Route {
  return async (response) => {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
    const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      response.write(bytes.subarray(at, at + pieceBytes));
      if (at % 70 === 0) await sleep(1);
    }
    response.end();
  };
}

/** @returns a machine as the API shows it */
export function stubVm(name: string, id: string, changes: Partial<VmView> = {}): VmView {
  return {
    id: id.padEnd(32, '0'),
    name,
    state: 'running',
    image: 'debian',
    spec: { vcpuCount: 2, memoryMib: 1024, workDiskBytes: 8 * 1024 ** 3, rootOverlayBytes: 8 * 1024 ** 3, nat: true },
    labels: {},
    guestAddress: '10.213.0.2',
    address: '127.213.0.2',
    createdAt: '2026-01-01T00:00:00Z',
    startedAt: null,
    lastUsedAt: null,
    sleep: null,
    keepAwake: null,
    hypervisor: null,
    accelerator: null,
    storageDriver: null,
    networkDriver: null,
    pid: null,
    rescue: false,
    hasSshServer: true,
    troubles: [],
    lastError: null,
    paths: { directory: '/d', serialLog: '/d/serial.log', vmmLog: '/d/vmm.log', eventLog: '/d/events.log' },
    ...changes,
  };
}

export function stubOperation(id: string, verb = 'vm.start'): Operation {
  return { id, verb, vmId: null, vmName: null, state: 'running', createdAt: '2026-01-01T00:00:00Z', endedAt: null, error: null };
}

type End = Extract<OperationEvent, { type: 'end' }>;

export function endEvent(changes: Partial<End> = {}): End {
  return { type: 'end', seq: 99, atMs: 5, state: 'done', error: null, vm: null, ...changes };
}

/** Events of an operation with a boot, and with a title that a guest could have invented. */
export const BOOT_STAGES: OperationEvent[] = [
  { type: 'stage', seq: 0, atMs: 0, stage: 'boot', title: 'boot', status: 'started' },
  { type: 'progress', seq: 1, atMs: 1, stage: 'boot', text: 'kernel' },
  { type: 'stage', seq: 2, atMs: 1400, stage: 'boot', title: 'boot\u001b[31m', status: 'done', durationMs: 1400 },
];
