import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { BangerError } from '../../../model/errors.ts';
import { type ControlSocketOptions, openControlSocket } from '../control-socket.ts';
import type { ApiRequest } from './machine-config.ts';
import { given } from '../../../lib/given.ts';

/** No reply to banger's requests is longer; more means a broken peer. */
const MAX_ANSWER_BYTES = 1024 ** 2;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5000;
const RETRY_MS = 5;

/** The reply to GET /. */
export type InstanceInfo = { id: string; state: string; version: string };

/** The API of one Firecracker process. */
export type ApiClient = {
  /** @throws VMM_FAILED if Firecracker refuses it (`details.fault` is its reason), is too slow, or has ended */
  send(request: ApiRequest): Promise<void>;
  /** @throws VMM_FAILED */
  describe(timeoutMs?: number): Promise<InstanceInfo>;
  /** Settles once the process closes the socket, or `close` was called. */
  readonly closed: Promise<void>;
  close(): void;
};

/** How to connect to the API, and the socket's name for messages. */
export type ApiPlace = { path: string; connect(path: string): Socket };

/**
 * Waits for the API socket. One connection stays open and idle, so that the end of the process shows at once.
 * @throws VMM_FAILED
 */
export async function connectApi(place: ApiPlace, options: ControlSocketOptions & { timeoutMs?: number } = {}): Promise<ApiClient> {
  const deadline = performance.now() + (options.timeoutMs ?? CONNECT_TIMEOUT_MS);
  const watch = await openControlSocket(place.path, {
    ...{ connect: place.connect, what: 'the API socket of Firecracker', retryMs: RETRY_MS, deadline },
    ...options,
  });
  const closing = new AbortController();
  watch.on('error', () => undefined);
  // No data is expected; reading makes its end show.
  watch.resume();
  const closed = new Promise<void>((resolve) => watch.once('close', () => resolve()));
  const ask = (asked: Asked): Promise<string> => exchange(place, asked, closing.signal);
  return {
    send: async (change) => void (await ask(change)),
    describe: async (timeoutMs) => parseInfo(await ask({ method: 'GET', path: '/', ...given({ timeoutMs }) })),
    closed,
    close: () => {
      closing.abort();
      watch.destroy();
    },
  };
}

type Asked = { method: string; path: string; body?: Record<string, unknown>; timeoutMs?: number };

/** One request on a connection of its own. @returns the body of the reply */
async function exchange({ path, connect }: ApiPlace, asked: Asked, closing: AbortSignal): Promise<string> {
  const text = asked.body === undefined ? undefined : JSON.stringify(asked.body);
  const timeoutMs = asked.timeoutMs ?? REQUEST_TIMEOUT_MS;
  const what = `${asked.method} ${asked.path}`;
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({
        createConnection: () => connect(path),
        method: asked.method,
        path: asked.path,
        signal: AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]),
        headers: text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) },
      });
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(text);
    });
    const body = await readAnswer(answer);
    if (answer.statusCode === 200 || answer.statusCode === 204) return body;
    throw refusal(what, answer.statusCode, body);
  } catch (error) {
    if (error instanceof BangerError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new BangerError('VMM_FAILED', `Firecracker did not answer ${what} within ${timeoutMs} ms (${reason})`, {
      details: { request: what },
      cause: error,
    });
  }
}

async function readAnswer(answer: IncomingMessage): Promise<string> {
  let body = '';
  answer.setEncoding('utf8');
  for await (const piece of answer) {
    body += piece as string;
    if (body.length > MAX_ANSWER_BYTES) {
      answer.destroy();
      throw new BangerError('VMM_FAILED', `Firecracker's answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    }
  }
  return body;
}

function refusal(what: string, status: number | undefined, body: string): BangerError {
  const fault = parseObject(body)['fault_message'];
  const reason = typeof fault === 'string' ? fault : `status ${status}`;
  return new BangerError('VMM_FAILED', `Firecracker refused ${what}: ${reason}`, { details: { request: what, status, fault: reason } });
}

function parseInfo(body: string): InstanceInfo {
  const { id, state, vmm_version: version } = parseObject(body);
  if (typeof id === 'string' && typeof state === 'string' && typeof version === 'string') return { id, state, version };
  throw new BangerError('VMM_FAILED', 'the program on the API socket is not Firecracker');
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
