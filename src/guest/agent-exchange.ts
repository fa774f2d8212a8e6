import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { AGENT_LIMITS } from '../model/limits.ts';
import { type ReplyHead, headReader, violation } from './reply-head.ts';

/** docs/agent-protocol.md: what the host accepts from an agent. */
export const MAX_JSON_BYTES = 1024 ** 2;

export type Request = { method: string; target: string; body?: Uint8Array };

/**
 * @param streamedBytes the length of a body that follows separately
 * @returns the request as bytes
 * @throws INVALID_INPUT if it is more than the agent accepts
 */
export function encodeRequest(request: Request, streamedBytes?: number): Buffer {
  const bodyBytes = request.body?.length ?? 0;
  const length = streamedBytes ?? request.body?.length;
  const lengthLine = length === undefined ? '' : `Content-Length: ${length}\r\n`;
  const head = Buffer.from(`${request.method} ${request.target} HTTP/1.1\r\nHost: guest\r\n${lengthLine}\r\n`);
  if (head.length > AGENT_LIMITS.headBytes || bodyBytes > AGENT_LIMITS.jsonBytes) {
    const path = request.target.split('?')[0]?.slice(0, 100);
    throw new BangerError('INVALID_INPUT', `${request.method} ${path} is too large for one request to the guest agent`, {
      remedy: 'shorten it',
      details: { headBytes: head.length, bodyBytes, limits: AGENT_LIMITS },
    });
  }
  return request.body === undefined ? head : Buffer.concat([head, request.body]);
}

/** Sends an encoded request and reads the head of the reply. @throws AGENT_UNREACHABLE, AGENT_PROTOCOL */
export async function exchangeHead(stream: Duplex, request: Buffer, signal: AbortSignal): Promise<{ head: ReplyHead; rest: Buffer }> {
  stream.write(request);
  return receive(stream, signal, headReader());
}

/**
 * Returns a channel after a complete reply, unless the agent will not use it again: an agent that refuses a request without reading it to
 * its end would take the rest for the next request.
 */
export function settleChannel(channel: AgentChannel, head: ReplyHead): void {
  // Agents of older images show it only by their status.
  const isLast = head.headers.get('connection') === 'close' || UNREAD.has(head.status);
  if (isLast) channel.destroy();
  else channel.release();
}

const UNREAD: ReadonlySet<number> = new Set([400, 413, 431]);

/** Reads a whole JSON body. @param rest what came with the head */
export async function receiveBody(stream: Duplex, head: ReplyHead, rest: Buffer, signal: AbortSignal): Promise<Buffer> {
  const length = head.contentLength ?? 0;
  if (length > MAX_JSON_BYTES) throw violation('a reply that is too long');
  // One buffer from the start: a body that comes as single bytes would cost a hundred times its length in chunks.
  const body = Buffer.allocUnsafe(length);
  let received = 0;
  const take = (chunk: Buffer): Buffer | undefined => {
    if (received + chunk.length > length) throw violation('more than its Content-Length');
    received += chunk.copy(body, received);
    return received === length ? body : undefined;
  };
  return take(rest) ?? receive(stream, signal, take);
}

/**
 * Passes what arrives to `take` until that returns a value, then leaves the stream paused.
 * @throws the errors of `take`; AGENT_UNREACHABLE if the stream closes or `signal` fires
 */
export function receive<T>(stream: Duplex, signal: AbortSignal, take: (chunk: Buffer) => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      stream.off('data', onData);
      stream.off('close', onClose);
      stream.off('end', onClose);
      signal.removeEventListener('abort', onAbort);
      stream.pause();
    };
    const fail = (error: unknown): void => {
      leave();
      reject(error);
    };
    const onClose = (): void => fail(unreachable('it closed the channel'));
    const onAbort = (): void => fail(unreachable('it did not answer in time', signal.reason));
    const onData = (chunk: Buffer): void => {
      try {
        const value = take(chunk);
        if (value === undefined) return;
        leave();
        resolve(value);
      } catch (error) {
        fail(error);
      }
    };
    if (signal.aborted) return onAbort();
    if (stream.destroyed || stream.readableEnded) return onClose();
    signal.addEventListener('abort', onAbort, { once: true });
    stream.once('close', onClose);
    stream.once('end', onClose);
    stream.on('data', onData);
    stream.resume();
  });
}

/**
 * Passes a body of known length to a reader, at the reader's pace.
 * @param idleMs how long the guest may send nothing while the reader wants more
 */
export async function* bodyChunks(
  stream: Duplex,
  length: number,
  rest: Buffer,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let missing = length;
  for (let chunk = rest; ;) {
    missing -= chunk.length;
    if (missing < 0) throw violation('more than its Content-Length');
    if (chunk.length > 0) yield chunk;
    if (missing === 0) return;
    chunk = await receive(stream, AbortSignal.any([signal, AbortSignal.timeout(idleMs)]), (next) => next);
  }
}

/**
 * Sends exactly `length` bytes of `source` at the guest's pace.
 * @param idleMs how long the guest may accept nothing
 * @throws INVALID_INPUT if the source has another length; AGENT_UNREACHABLE
 */
export async function sendBody(
  stream: Duplex,
  source: AsyncIterable<Uint8Array>,
  length: number,
  idleMs: number,
  signal: AbortSignal,
): Promise<void> {
  let sent = 0;
  for await (const chunk of source) {
    sent += chunk.length;
    if (sent > length) break;
    if (stream.destroyed) throw unreachable('it closed the channel');
    if (!stream.write(chunk)) await drained(stream, AbortSignal.any([signal, AbortSignal.timeout(idleMs)]));
  }
  if (sent !== length) throw new BangerError('INVALID_INPUT', 'the file changed while it was being copied', { details: { length, sent } });
}

async function drained(stream: Duplex, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  try {
    await Promise.race([once(stream, 'drain', { signal: either }), once(stream, 'close', { signal: either })]);
  } catch (error) {
    throw unreachable('it took the file too slowly', error);
  } finally {
    stop.abort();
  }
}

export function unreachable(reason: string, cause?: unknown): BangerError {
  return new BangerError('AGENT_UNREACHABLE', `the guest agent failed: ${reason}`, cause === undefined ? {} : { cause });
}

export type OpenChannel = (signal: AbortSignal) => Promise<AgentChannel>;
