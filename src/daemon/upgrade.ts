import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { DEFAULT_BODY_BYTES, errorsOf, paramsOf, partsOf, type Route, splitName } from '../api/route.ts';
import { BangerError, ERROR_CODES, type ErrorBody, type ErrorCode, SCHEMA_REMEDY, toErrorBody } from '../model/errors.ts';
import type { AnyHandler, FramesClient, ServedRoutes } from './handlers.ts';
import { parseInput } from './input.ts';
import { relay } from './relay.ts';

/** How long to wait for a body that a client announced. */
const BODY_TIMEOUT_MS = 10_000;

type UpgradeRoute = {
  name: string;
  route: Route;
  errors: ReadonlySet<ErrorCode>;
  handle: AnyHandler;
  method: string;
  path: RegExp;
  parts: string[];
};

export type UpgradeOptions = {
  buildId: string;
  /** Gets each error of a declared route. */
  onRefusal(code: ErrorCode, name: string, errors: ReadonlySet<ErrorCode>): void;
};

/**
 * Serves the routes that leave HTTP for frames. Fastify does not route upgrades, so they are handled at the HTTP server itself.
 */
export function handleUpgrades(server: Server, sets: readonly ServedRoutes[], options: UpgradeOptions): void {
  const routes = sets.flatMap(upgradeRoutes);
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const found = request.headers.upgrade === 'banger-frames' ? findRoute(routes, request) : undefined;
    serve(found, options.buildId, { request, socket, head }).catch((error: unknown) => {
      const body = toErrorBody(error);
      if (found !== undefined) options.onRefusal(body.code, found.one.name, found.one.errors);
      if (!socket.destroyed) endWithError(socket, options.buildId, body);
    });
  });
}

function upgradeRoutes({ routes, handlers }: ServedRoutes): UpgradeRoute[] {
  return Object.entries(routes).flatMap(([name, route]) => {
    if (route.reply.kind !== 'frames') return [];
    const { method, path } = splitName(name);
    const pattern = new RegExp(`^${path.replaceAll(/:\w+/g, '([^/?]{1,200})')}$`);
    return [
      {
        name,
        route,
        errors: new Set(errorsOf(name, route)),
        handle: handlers[name] as AnyHandler,
        method,
        path: pattern,
        parts: partsOf(path),
      },
    ];
  });
}

type Found = { one: UpgradeRoute; values: string[] };

function findRoute(routes: readonly UpgradeRoute[], { method, url = '' }: IncomingMessage): Found | undefined {
  for (const one of routes) {
    const match = one.method === method ? one.path.exec(url) : null;
    if (match !== null) return { one, values: match.slice(1) };
  }
  return undefined;
}

type Upgrade = { request: IncomingMessage; socket: Duplex; head: Buffer };

async function serve(found: Found | undefined, buildId: string, upgrade: Upgrade): Promise<void> {
  const { request, socket, head } = upgrade;
  if (found === undefined) {
    throw new BangerError('NOT_FOUND', `there is no ${request.method} ${request.url?.slice(0, 200)} that upgrades`, {
      remedy: SCHEMA_REMEDY,
    });
  }
  const { route, parts, handle } = found.one;
  const maxBytes = route.maxBodyBytes ?? DEFAULT_BODY_BYTES;
  const body = route.body === undefined ? undefined : parseInput(route.body, await readBody(request, maxBytes), 'the body');
  if (head.length > 0) socket.unshift(head);
  const params = Object.fromEntries(parts.map((name, at) => [name, decodePart(found.values[at] ?? '')]));
  await handle({ params: checkedParams(found.one.name, params), query: undefined, body }, clientOf(upgrade, buildId));
}

function checkedParams(name: string, params: Record<string, string>): object {
  const schema = paramsOf(splitName(name).path);
  return schema === undefined ? {} : parseInput(schema, params, 'the path');
}

function clientOf({ request, socket }: Upgrade, buildId: string): FramesClient {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const hears = request.headers['banger-wait'] === 'tell';
  return {
    signal: gone.signal,
    onClose: (callback) => void socket.once('close', callback),
    tellWaiting: (sessions) => void (hears && socket.write(waiting(sessions, buildId))),
    async join(session, whyLost) {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: banger-frames\r\nBanger-Build: ${buildId}\r\n\r\n`);
      await relay(socket, session, whyLost);
    },
  };
}

/** An interim reply (RFC 9110 §15.2), for clients that ask for it: the session begins when another one ends. */
function waiting(sessions: number, buildId: string): string {
  return `HTTP/1.1 102 Processing\r\nBanger-Build: ${buildId}\r\nBanger-Sessions: ${sessions}\r\n\r\n`;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BangerError('INVALID_INPUT', 'the path has an invalid percent-encoding');
  }
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const tooLarge = (): BangerError => new BangerError('PAYLOAD_TOO_LARGE', `the body is larger than ${maxBytes} bytes`);
  // Reply before reading the body: a client that still writes would not read the reply on a broken connection.
  if (Number(request.headers['content-length']) > maxBytes) {
    request.resume();
    throw tooLarge();
  }
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => request.destroy(new BangerError('TIMEOUT', 'the body did not arrive')), BODY_TIMEOUT_MS);
  try {
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > maxBytes) throw tooLarge();
    }
  } finally {
    clearTimeout(timer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new BangerError('INVALID_INPUT', 'the body is not JSON');
  }
}

/** Closes a connection without a reply object, with an error in the form of all errors. */
export function endWithError(socket: Duplex, buildId: string, body: ErrorBody): void {
  const { status } = ERROR_CODES[body.code];
  const json = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(json)}`,
    `Banger-Build: ${buildId}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${json}`);
}
