// One request to the guest agent and its reply, within a time limit.
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { type OpenChannel, type Request, exchangeHead, receiveBody, encodeRequest, settleChannel } from './agent-exchange.ts';
import { errorReply, harmless, parseReply } from './agent-replies.ts';
import { type ReplyHead, violation } from './reply-head.ts';

/** How long an agent may take for a reply from memory, on a busy host under emulation. */
export const ANSWER_MS = 10_000;

export type CallOptions = { signal?: AbortSignal; timeoutMs?: number };

export function limitOf(options: CallOptions, timeoutMs: number): AbortSignal {
  const limit = AbortSignal.timeout(options.timeoutMs ?? timeoutMs);
  return options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
}

/** Runs `use` on a channel. `use` returns the channel itself; if it throws, the channel is closed. */
export async function withChannel<T>(open: OpenChannel, signal: AbortSignal, use: (channel: AgentChannel) => Promise<T>): Promise<T> {
  const channel = await open(signal);
  try {
    return await use(channel);
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

/** @param requestNow called once the channel is open: a booting guest takes seconds, and a time in the request would be old by then */
export async function ask<T>(
  open: OpenChannel,
  requestNow: () => Request,
  options: CallOptions,
  timeoutMs: number,
  parse: (body: Buffer) => T,
): Promise<T> {
  const signal = limitOf(options, timeoutMs);
  const request = requestNow();
  encodeRequest(request);
  const { head, body } = await withChannel(open, signal, async (channel) => {
    const reply = await exchangeHead(channel.stream, encodeRequest(requestNow()), signal);
    const received = await receiveBody(channel.stream, reply.head, reply.rest, signal);
    settleChannel(channel, reply.head);
    return { head: reply.head, body: received };
  });
  if (head.status === 200 || head.status === 204) return parse(body);
  throw refusal(request, head, body);
}

/** The error of a complete 4xx or 5xx reply. */
export function refusal(request: Request, head: ReplyHead, body: Buffer): BangerError {
  if (head.status < 400) return violation(`an unexpected status (${head.status})`);
  const { error, errno } = parseReply(errorReply, body);
  const path = request.target.split('?')[0] ?? '';
  const isFile = path === '/files' || path === '/stat';
  const message = isFile ? harmless(error) : `the guest agent refused ${request.method} ${path}: ${harmless(error)}`;
  return new BangerError(isFile ? 'GUEST_FILE' : 'COMMAND_FAILED', message, {
    details: { status: head.status, errno: errno ?? 0 },
  });
}
