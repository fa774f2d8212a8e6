import type { Socket } from 'node:net';
import { given } from '../../../lib/given.ts';
import { connectOwnSocket } from '../../../lib/own-socket.ts';
import { BangerError } from '../../../model/errors.ts';
import { type ControlSocketOptions, openControlSocket } from '../control-socket.ts';

/** No line of QMP that banger asks for is longer; more means a broken peer. */
export const MAX_QMP_LINE_BYTES = 1024 ** 2;
const GREETING_TIMEOUT_MS = 5000;
const COMMAND_TIMEOUT_MS = 10_000;
const RETRY_MS = 8;

export type QmpEvent = { name: string; data: Record<string, unknown> };

/** A QEMU monitor connection that has left negotiation mode. */
export type QmpClient = {
  /**
   * Runs one command.
   * @param timeoutMs default 10 000
   * @returns the value under `return`
   * @throws VMM_FAILED if QEMU refuses, is too slow, or the socket closes; `details.qmpClass` is QEMU's error class
   */
  command(name: string, args?: Record<string, unknown>, timeoutMs?: number): Promise<unknown>;
  /** Settles once the socket is closed, by either side. */
  readonly closed: Promise<void>;
  close(): void;
};

type Waiting = { resolve(value: unknown): void; reject(error: Error): void; name: string; timer: NodeJS.Timeout };

/**
 * Connects to a QMP server and negotiates (qemu docs/interop/qmp-spec.txt). QEMU serves one client at a time: while another is connected,
 * the greeting does not come, and the call times out.
 * @throws VMM_FAILED
 */
export async function connectQmp(
  path: string,
  options: ControlSocketOptions & { onEvent: (event: QmpEvent) => void; timeoutMs?: number },
): Promise<QmpClient> {
  const deadline = performance.now() + (options.timeoutMs ?? GREETING_TIMEOUT_MS);
  const socket = await openControlSocket(path, {
    ...options,
    ...{ connect: connectOwnSocket, what: 'the control socket of QEMU', retryMs: RETRY_MS, deadline },
  });
  const session = new QmpSession(socket, options.onEvent);
  const onAbort = (): void => session.close();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    if (options.signal?.aborted === true) session.close();
    await session.negotiate(Math.max(1, deadline - performance.now()));
    return session;
  } catch (error) {
    session.close();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

class QmpSession implements QmpClient {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #greeting = Promise.withResolvers<void>();
  #chunks: Buffer[] = [];
  #pendingBytes = 0;
  #nextId = 1;
  #broken: string | undefined;

  constructor(socket: Socket, onEvent: (event: QmpEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    this.#greeting.promise.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#settleAll();
        resolve();
      });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#broken ??= error.code ?? 'socket error'));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  async negotiate(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#fail('it did not greet in time'), timeoutMs);
    try {
      await this.#greeting.promise;
      await this.command('qmp_capabilities', undefined, timeoutMs);
    } finally {
      clearTimeout(timer);
    }
  }

  command(name: string, args?: Record<string, unknown>, timeoutMs = COMMAND_TIMEOUT_MS): Promise<unknown> {
    if (this.#socket.destroyed) return Promise.reject(this.#closedError(name));
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      reject(new BangerError('VMM_FAILED', `QEMU did not answer ${name} within ${timeoutMs} ms`, { details: { command: name } }));
    }, timeoutMs);
    this.#waiting.set(id, { resolve, reject, name, timer });
    this.#socket.write(`${JSON.stringify({ execute: name, ...given({ arguments: args }), id })}\n`);
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...this.#chunks, rest.subarray(0, end)]);
      this.#chunks = [];
      this.#pendingBytes = 0;
      rest = rest.subarray(end + 1);
      this.#line(line.toString('utf8').trim());
    }
    this.#pendingBytes += rest.length;
    if (this.#pendingBytes > MAX_QMP_LINE_BYTES) this.#fail('it sent an endless line');
    else if (rest.length > 0) this.#chunks.push(rest);
  }

  #line(text: string): void {
    if (text === '' || this.#socket.destroyed) return;
    const message = parseObject(text);
    if (message === undefined) this.#fail('it sent something that is not QMP');
    else if ('QMP' in message) this.#greeting.resolve();
    else if (typeof message['event'] === 'string') this.#onEvent({ name: message['event'], data: asObject(message['data']) });
    else if (typeof message['id'] === 'number') this.#answer(message['id'], message);
  }

  #answer(id: number, message: Record<string, unknown>): void {
    const waiting = this.#waiting.get(id);
    // An unexpected reply belongs to a command that timed out.
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (!('error' in message)) return waiting.resolve(message['return']);
    const error = asObject(message['error']);
    waiting.reject(
      new BangerError('VMM_FAILED', `QEMU refused ${waiting.name}: ${String(error['desc'])}`, {
        details: { command: waiting.name, qmpClass: error['class'] },
      }),
    );
  }

  #fail(reason: string): void {
    this.#broken ??= reason;
    this.#socket.destroy();
  }

  #settleAll(): void {
    this.#greeting.reject(this.#closedError('greeting'));
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(this.#closedError(waiting.name));
    }
    this.#waiting.clear();
  }

  #closedError(command: string): BangerError {
    const reason = this.#broken === undefined ? '' : `: ${this.#broken}`;
    return new BangerError('VMM_FAILED', `the control connection to QEMU is closed${reason}`, { details: { command } });
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
