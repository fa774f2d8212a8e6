// A minimal HTTP client for the Unix socket. HTTP/1.0 has neither chunks nor keep-alive, a body ends with the stream, and destroying the
// socket cancels. Loading node:http or fetch would cost every command several times as much as this file.
import type { Duplex } from 'node:stream';
import { PlaceProblem } from '../lib/own-place.ts';
import { connectOwnSocket } from '../lib/own-socket.ts';
import { BangerError, type ErrorBody, fromErrorBody } from '../model/errors.ts';

export type ApiRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path with query, encoded. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; `sizeBytes` must be its length. */
  upload?: { bytes: AsyncIterable<Uint8Array>; sizeBytes: number };
  /** Asks for the raw stream of frames. */
  upgrade?: boolean;
  /** Gets the number of sessions if this session has to wait for another one to end. */
  onWait?: (sessions: number) => void;
  signal?: AbortSignal;
};

/** A reply whose body is still unread on `socket`; the caller reads it to the end or destroys the socket. */
export type ApiReply = { status: number; headers: ReadonlyMap<string, string>; socket: Duplex };

/** Opens a connection to a daemon that has no socket on this machine. @throws the reason why there is none */
export type OpenStream = () => Duplex;

/** Sends one request; the CLI wraps it with the daemon's auto-start. */
export type Send = (request: ApiRequest) => Promise<ApiReply>;

const MAX_HEAD_BYTES = 16 * 1024;
const MAX_JSON_BYTES = 64 * 1024 ** 2;
const MAX_LINE_BYTES = 1024 ** 2;

/**
 * @param target path of the daemon's socket, or a function that opens a stream to a daemon elsewhere; its errors pass through
 * @param onHead gets the headers of every reply, also of errors
 * @returns a Send for that daemon
 */
export function createSend(target: string | OpenStream, onHead?: (headers: ReadonlyMap<string, string>) => void): Send {
  return async (request) => {
    const socket = await open(target, request.signal);
    try {
      const reply = readHead(socket, target);
      // The reply may come before the upload ends (an error), so report a failed upload only if there is no reply.
      const upload = writeRequest(socket, request);
      upload.catch(() => undefined);
      let head = await reply;
      while (head.status === 102) {
        request.onWait?.(Number(head.headers.get('banger-sessions')));
        head = await readHead(socket, target);
      }
      onHead?.(head.headers);
      return await checkStatus({ ...head, socket }, request.upgrade === true);
    } catch (error) {
      socket.destroy();
      throw request.signal?.aborted === true ? new BangerError('CANCELLED', 'cancelled', { cause: error }) : error;
    }
  };
}

function open(target: string | OpenStream, signal: AbortSignal | undefined): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = typeof target === 'string' ? connectOwnSocket(target) : target();
    const onAbort = (): void => void socket.destroy(new BangerError('CANCELLED', 'cancelled'));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => signal?.removeEventListener('abort', onAbort));
    if (typeof target === 'string') socket.once('connect', () => resolve(socket));
    else resolve(socket);
    // Stays for the socket's life: a late reset must not end the program, and readers see it through the iterator.
    socket.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(target, error)));
  });
}

/** @returns the error for a socket that may belong to another user; nothing was sent to it */
export function notOurs(problem: PlaceProblem): BangerError {
  return new BangerError('NOT_PERMITTED', problem.message, { remedy: problem.remedy, details: { absent: false }, cause: problem });
}

function unreachable(target: string | OpenStream, error: NodeJS.ErrnoException): BangerError {
  if (error instanceof BangerError) return error;
  if (error instanceof PlaceProblem) return notOurs(error);
  const socketPath = typeof target === 'string' ? target : 'the other end';
  const absent = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
  const why = absent ? 'it is not running' : (error.code ?? error.message);
  return new BangerError('DAEMON_UNREACHABLE', `the daemon does not answer at ${socketPath}: ${why}`, {
    remedy: 'banger daemon start',
    details: { socketPath, errno: error.code ?? null, absent, unanswered: true },
    cause: error,
  });
}

function lost(what: string, unanswered = false): BangerError {
  return new BangerError('DAEMON_UNREACHABLE', `the daemon closed the connection ${what}`, {
    remedy: 'banger daemon logs',
    details: { absent: false, unanswered },
  });
}

/** @returns the bytes before the body */
export function encodeHead(request: ApiRequest, body: Buffer | undefined): string {
  const lines = [`${request.method} ${request.path} HTTP/${request.upgrade === true ? '1.1' : '1.0'}`, 'Host: banger'];
  if (request.upgrade === true) lines.push('Connection: Upgrade', 'Upgrade: banger-frames');
  if (request.onWait !== undefined) lines.push('Banger-Wait: tell');
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${body.length}`);
  if (request.upload !== undefined) {
    lines.push('Content-Type: application/octet-stream', `Content-Length: ${request.upload.sizeBytes}`);
  }
  for (const [name, value] of Object.entries(request.headers ?? {})) lines.push(`${name}: ${value}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

async function writeRequest(socket: Duplex, request: ApiRequest): Promise<void> {
  const body = request.json === undefined ? undefined : Buffer.from(JSON.stringify(request.json));
  socket.write(encodeHead(request, body));
  if (body !== undefined) socket.write(body);
  if (request.upload === undefined) return;
  let sentBytes = 0;
  for await (const chunk of request.upload.bytes) {
    if (socket.destroyed) return;
    sentBytes += chunk.length;
    await writeAll(socket, chunk);
  }
  // If the file shrank during the upload, the daemon would wait for the rest.
  if (sentBytes !== request.upload.sizeBytes) socket.destroy(new BangerError('GUEST_FILE', 'the file changed while it was read'));
}

/** Writes with back-pressure. @throws if the stream closes before it accepts the bytes */
export function writeAll(stream: NodeJS.WritableStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => (error instanceof Error ? reject(error) : resolve()));
  });
}

type Head = { status: number; headers: ReadonlyMap<string, string> };

function readHead(socket: Duplex, target: string | OpenStream): Promise<Head> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      socket.off('data', onData).off('close', onClose).off('error', onError);
      socket.pause();
      settle();
    };
    const onClose = (): void => finish(() => reject(lost('before it answered', true)));
    const onError = (error: Error): void => finish(() => reject(unreachable(target, error)));
    const onData = (chunk: Buffer): void => {
      seen = Buffer.concat([seen, chunk]);
      const end = seen.indexOf('\r\n\r\n');
      if (end < 0 && seen.length <= MAX_HEAD_BYTES) return;
      finish(() => {
        const head = end < 0 || end > MAX_HEAD_BYTES ? undefined : parseHead(seen.toString('latin1', 0, end));
        if (head === undefined) return reject(new BangerError('INTERNAL', "the daemon's answer is not HTTP"));
        if (seen.length > end + 4) socket.unshift(seen.subarray(end + 4));
        resolve(head);
      });
    };
    socket.on('data', onData).on('close', onClose).on('error', onError);
    // An interim reply has paused it.
    socket.resume();
  });
}

/** @returns status and headers (names in lower case) of a response head, or undefined if it is malformed */
export function parseHead(text: string): Head | undefined {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine);
  if (match === null) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) return undefined;
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(match[1]), headers };
}

async function checkStatus(reply: ApiReply, upgrade: boolean): Promise<ApiReply> {
  if (reply.status < 400) {
    if (upgrade === (reply.status === 101)) return reply;
    throw new BangerError('INTERNAL', `the daemon answered with status ${reply.status} instead of ${upgrade ? 101 : 'a result'}`);
  }
  const body = await readJson(reply).catch(() => undefined);
  if (isErrorBody(body)) throw fromErrorBody(body);
  throw new BangerError('INTERNAL', `the daemon answered with status ${reply.status}`, { remedy: 'banger daemon logs' });
}

function isErrorBody(body: unknown): body is ErrorBody {
  return typeof body === 'object' && body !== null && 'code' in body && 'message' in body && typeof body.message === 'string';
}

/** @returns the body. @throws DAEMON_UNREACHABLE if it ends too early or is not JSON */
export async function readJson(reply: ApiReply): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  const due = Number(reply.headers.get('content-length') ?? Number.POSITIVE_INFINITY);
  for await (const chunk of bodyOf(reply)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_JSON_BYTES) throw new BangerError('INTERNAL', `the daemon answered with more than ${MAX_JSON_BYTES} bytes`);
    if (length >= due) break;
  }
  reply.socket.destroy();
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw lost('in the middle of its answer');
  }
}

/** @returns the bytes of the body to its end. @throws DAEMON_UNREACHABLE if the connection breaks */
export async function* bodyOf(reply: ApiReply): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of reply.socket) yield chunk as Buffer;
  } catch (error) {
    throw error instanceof BangerError ? error : lost('in the middle of its answer');
  }
}

/**
 * Reads newline-delimited JSON, however the chunks split it.
 * @throws DAEMON_UNREACHABLE for an incomplete last line, INTERNAL for a line of more than 1 MiB
 */
export async function* readNdjson(reply: ApiReply): AsyncGenerator<unknown> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bodyOf(reply)) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = rest.toString('utf8', 0, end).trim();
      rest = rest.subarray(end + 1);
      if (line !== '') yield parseLine(line);
    }
    if (rest.length > MAX_LINE_BYTES) throw new BangerError('INTERNAL', 'the daemon sent a line of more than 1 MiB');
  }
  if (rest.length > 0) throw lost('in the middle of a line');
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new BangerError('INTERNAL', 'the daemon sent a line that is not JSON', { remedy: 'banger daemon logs' });
  }
}
