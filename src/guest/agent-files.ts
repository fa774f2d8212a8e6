// Files of the guest, of any size, over channels to its agent.
import { Readable } from 'node:stream';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { ANSWER_MS, type CallOptions, limitOf, withChannel, refusal } from './agent-call.ts';
import {
  type OpenChannel,
  bodyChunks,
  exchangeHead,
  receive,
  receiveBody,
  sendBody,
  encodeRequest,
  settleChannel,
} from './agent-exchange.ts';
import { headReader, violation } from './reply-head.ts';

/** How long a file transfer may stand still. */
const IDLE_MS = 30_000;

export type GuestFile = { sizeBytes: number; mode: number; content: Readable };

/** The caller reads `content` to its end or destroys it. @throws GUEST_FILE */
export async function getFile(open: OpenChannel, path: string, options: CallOptions): Promise<GuestFile> {
  const request = { method: 'GET', target: `/files?path=${encodeURIComponent(path)}` };
  const signal = limitOf(options, ANSWER_MS);
  const bytes = encodeRequest(request);
  const channel = await open(signal);
  try {
    const { head, rest } = await exchangeHead(channel.stream, bytes, signal);
    if (head.status !== 200) {
      const body = await receiveBody(channel.stream, head, rest, signal);
      settleChannel(channel, head);
      throw refusal(request, head, body);
    }
    const mode = Number.parseInt(/^[0-7]{1,7}$/.exec(head.headers.get('x-mode') ?? '')?.[0] ?? '', 8);
    if (head.contentLength === undefined || Number.isNaN(mode)) throw violation('a file without size or mode');
    const sizeBytes = head.contentLength;
    const content = Readable.from(fileContent(channel, sizeBytes, rest, options.signal), { objectMode: false });
    // If a reader gives up before its first read, the generator never starts, and the channel would stay open.
    content.once('close', () => channel.destroy());
    return { sizeBytes, mode: mode & 0o7777, content };
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

async function* fileContent(channel: AgentChannel, sizeBytes: number, rest: Buffer, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let whole = false;
  try {
    yield* bodyChunks(channel.stream, sizeBytes, rest, IDLE_MS, signal ?? new AbortController().signal);
    whole = true;
  } finally {
    if (whole) channel.release();
    else channel.destroy();
  }
}

/** @throws GUEST_FILE, INVALID_INPUT */
export async function putFile(
  open: OpenChannel,
  path: string,
  file: { content: AsyncIterable<Uint8Array>; sizeBytes: number; mode: number },
  options: CallOptions,
): Promise<void> {
  const mode = (file.mode & 0o7777).toString(8).padStart(4, '0');
  const request = { method: 'PUT', target: `/files?path=${encodeURIComponent(path)}&mode=${mode}` };
  const signal = options.signal ?? new AbortController().signal;
  const head = encodeRequest(request, file.sizeBytes);
  await withChannel(open, limitOf(options, ANSWER_MS), async (channel) => {
    const { stream } = channel;
    stream.write(head);
    const over = new AbortController();
    const answer = receive(stream, AbortSignal.any([signal, over.signal]), headReader());
    const sending = sendBody(stream, file.content, file.sizeBytes, IDLE_MS, signal);
    try {
      // An agent that refuses says so before the end of a long body.
      const early = await Promise.race([answer, sending.then(() => undefined)]);
      if (early === undefined) setTimeout(() => over.abort(), IDLE_MS).unref();
      const reply = early ?? (await answer);
      const body = await receiveBody(stream, reply.head, reply.rest, limitOf(options, ANSWER_MS));
      if (reply.head.status !== 204) throw refusal(request, reply.head, body);
      await sending;
      settleChannel(channel, reply.head);
    } finally {
      over.abort();
      answer.catch(() => undefined);
      sending.catch(() => undefined);
    }
  });
}
