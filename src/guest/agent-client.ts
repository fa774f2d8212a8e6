import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import {
  type OpenChannel,
  type Request,
  bodyChunks,
  exchangeHead,
  receive,
  receiveBody,
  sendBody,
  encodeRequest,
  settleChannel,
} from './agent-exchange.ts';
import {
  type FileStatus,
  errorReply,
  harmless,
  healthReply,
  infoReply,
  parseReply,
  personalizeReply,
  portsReply,
  statReply,
} from './agent-replies.ts';
import { type ClockReading, readClock } from './clock.ts';
import { FrameSession } from './frame-session.ts';
import type { AgentHealth, AgentInfo, ExecRequest, GuestPort, GuestTrouble, Personalization } from './protocol.ts';
import { type ReplyHead, headReader, violation } from './reply-head.ts';

/** What an agent needs for an answer from memory, on a busy host under emulation. */
const ANSWER_MS = 10_000;
/** How fast a body goes into a guest at least, on a busy host under emulation. */
const BODY_BYTES_PER_MS = 512;
/** Personalising grows file systems. */
const PERSONALIZE_MS = 60_000;
/** Function not implemented, of Linux. */
const ENOSYS = 38;
/** How long a file transfer may stand still. */
const IDLE_MS = 30_000;
/** Between two snapshots of the guest's ports; an honest agent looks every 500 ms. */
const SNAPSHOT_PAUSE_MS = 100;

export type GuestFile = { sizeBytes: number; mode: number; content: Readable };

export type CallOptions = { signal?: AbortSignal; timeoutMs?: number };

/** The host's side of docs/agent-protocol.md. Every reply is treated as hostile: bounded, timed, and checked. */
export type AgentClient = {
  healthz(options?: CallOptions): Promise<AgentHealth>;
  info(options?: CallOptions): Promise<AgentInfo>;
  ports(options?: CallOptions): Promise<GuestPort[]>;
  /** @throws GUEST_FILE with `details.errno` */
  stat(path: string, options?: CallOptions): Promise<FileStatus>;
  /** The caller reads `content` to its end or destroys it. @throws GUEST_FILE */
  getFile(path: string, options?: CallOptions): Promise<GuestFile>;
  /** @param file.mode permission bits @throws GUEST_FILE, INVALID_INPUT */
  putFile(
    path: string,
    file: { content: AsyncIterable<Uint8Array>; sizeBytes: number; mode: number },
    options?: CallOptions,
  ): Promise<void>;
  /** Members that are left out stay as they are in the guest. @returns what could not be set up; the rest is in effect */
  personalize(personalization: Partial<Personalization>, options?: CallOptions): Promise<GuestTrouble[]>;
  poweroff(request: { reboot: boolean }, options?: CallOptions): Promise<void>;
  /** @returns undefined when the agent is of an image that cannot tell */
  readClock(options?: CallOptions): Promise<ClockReading | undefined>;
  /** Moves the guest's clock: at once, or at 0.5 ms a second by at most a second. */
  moveClock(by: { stepMs: number } | { slewMs: number }, options?: CallOptions): Promise<void>;
  /** Sets it to the host's, as far as the way of the order allows. */
  setClock(options?: CallOptions): Promise<void>;
  /** Starts a command; `options` bound the start only. */
  openExec(request: ExecRequest, options?: CallOptions): Promise<FrameSession>;
  /** @param target `ssh`, or `address:port` inside the guest */
  openTunnel(target: string, options?: CallOptions): Promise<FrameSession>;
  /** Calls back with the listening ports now and after each change, one call after the other, until the session is closed. */
  watchPorts(onPorts: (ports: GuestPort[]) => void | Promise<void>, options?: CallOptions): Promise<FrameSession>;
};

/**
 * @param open e.g. `(signal) => machine.openAgentChannel(signal)`
 * @param now wall clock of the host, which is the guest's too; milliseconds
 */
export function createAgentClient(open: OpenChannel, now: () => number = () => Date.now()): AgentClient {
  const json = <T>(target: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> =>
    ask(
      open,
      () => ({ method: 'GET', target }),
      options,
      ANSWER_MS,
      (body) => parseReply(schema, body),
    );
  const postFor = <T>(target: string, value: () => unknown, options: CallOptions, timeoutMs: number, parse: (body: Buffer) => T) =>
    ask(open, () => ({ method: 'POST', target, body: Buffer.from(JSON.stringify(value())) }), options, timeoutMs, parse);
  const post = (target: string, value: () => unknown, options: CallOptions = {}): Promise<void> =>
    postFor(target, value, options, ANSWER_MS, () => undefined);
  return {
    healthz: (options) => json('/healthz', healthReply, options),
    info: (options) => json('/info', infoReply, options),
    ports: async (options) => (await json('/ports', portsReply, options)).ports,
    stat: (path, options) => json(`/stat?path=${encodeURIComponent(path)}`, statReply, options),
    getFile: (path, options) => getFile(open, path, options ?? {}),
    putFile: (path, file, options) => putFile(open, path, file, options ?? {}),
    personalize: async (personalization, options = {}) => {
      const send = (given: Partial<Personalization>): Promise<GuestTrouble[]> => {
        const members = (): object => ({ ...given, ...(given.unixMs === 'now' && { unixMs: now() }) });
        // Without a body all of it is in effect.
        const parse = (body: Buffer): GuestTrouble[] => (body.length === 0 ? [] : parseReply(personalizeReply, body).troubles);
        return postFor('/personalize', members, options, PERSONALIZE_MS, parse);
      };
      const { stopSignal, ...service } = personalization.service ?? {};
      if (stopSignal === undefined) return send(personalization);
      try {
        return await send(personalization);
      } catch (error) {
        if (!(error instanceof BangerError) || error.details?.['status'] !== 400) throw error;
        // The agent of an older bundle refuses members that it does not know.
        const troubles = await send({ ...personalization, service: service as NonNullable<Personalization['service']> });
        return [...troubles, { what: 'the stop signal of the image, which its older agent does not know', errno: ENOSYS, held: null }];
      }
    },
    poweroff: (request, options) => post('/poweroff', () => request, options),
    readClock: (options = {}) => {
      const signal = limitOf(options, ANSWER_MS);
      return withChannel(open, signal, (channel) => readClock(channel, now, signal));
    },
    moveClock: (by, options) => post('/time', () => by, options),
    setClock: (options) => post('/time', () => ({ unixMs: now() }), options),
    openExec: (request, options) =>
      openSession(open, { method: 'POST', target: '/exec', body: Buffer.from(JSON.stringify(request)) }, 101, options ?? {}),
    openTunnel: (target, options) => openSession(open, { method: 'CONNECT', target: checkedTarget(target) }, 200, options ?? {}),
    watchPorts: (onPorts, options) => watchPorts(open, onPorts, options ?? {}),
  };
}

function limitOf(options: CallOptions, timeoutMs: number): AbortSignal {
  const limit = AbortSignal.timeout(options.timeoutMs ?? timeoutMs);
  return options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
}

/** Runs `use` on a channel, which it gives back itself, and which is closed when it throws. */
async function withChannel<T>(open: OpenChannel, signal: AbortSignal, use: (channel: AgentChannel) => Promise<T>): Promise<T> {
  const channel = await open(signal);
  try {
    return await use(channel);
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

/** @param requestNow made anew when the channel is there: a guest that boots takes seconds, and a time would be old by then */
async function ask<T>(
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

/** The error that a whole 4xx or 5xx reply stands for. */
function refusal(request: Request, head: ReplyHead, body: Buffer): BangerError {
  if (head.status < 400) return violation(`an unexpected status (${head.status})`);
  const { error, errno } = parseReply(errorReply, body);
  const path = request.target.split('?')[0] ?? '';
  const isFile = path === '/files' || path === '/stat';
  const message = isFile ? harmless(error) : `the guest agent refused ${request.method} ${path}: ${harmless(error)}`;
  return new BangerError(isFile ? 'GUEST_FILE' : 'COMMAND_FAILED', message, {
    details: { status: head.status, errno: errno ?? 0 },
  });
}

async function getFile(open: OpenChannel, path: string, options: CallOptions): Promise<GuestFile> {
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
    // A reader that gives up before its first read would leave the generator unstarted, and so the channel open.
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

async function putFile(
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

function checkedTarget(target: string): string {
  if (/^(ssh|[0-9A-Za-z.:[\]-]{1,100}:\d{1,5})$/.test(target)) return target;
  throw new BangerError('INVALID_INPUT', `"${harmless(target)}" is neither "ssh" nor an address and port`);
}

async function openSession(
  open: OpenChannel,
  request: Request,
  wanted: 101 | 200,
  options: CallOptions,
  form?: 'whole-frames',
): Promise<FrameSession> {
  const signal = limitOf(options, ANSWER_MS + Math.ceil((request.body?.length ?? 0) / BODY_BYTES_PER_MS));
  const bytes = encodeRequest(request);
  const channel = await open(signal);
  try {
    const { head, rest } = await exchangeHead(channel.stream, bytes, signal);
    if (head.status === wanted && head.contentLength === undefined) return new FrameSession(channel, rest, form);
    const body = await receiveBody(channel.stream, head, rest, signal);
    settleChannel(channel, head);
    throw refusal(request, head, body);
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

async function watchPorts(
  open: OpenChannel,
  onPorts: (ports: GuestPort[]) => void | Promise<void>,
  options: CallOptions,
): Promise<FrameSession> {
  const session = await openSession(open, { method: 'GET', target: '/ports/watch' }, 200, options, 'whole-frames');
  session.stderr.resume();
  void readSnapshots(session, onPorts);
  return session;
}

/** A guest that changes its ports faster than they are looked at is stopped by the channel, not heard. */
async function readSnapshots(session: FrameSession, onPorts: (ports: GuestPort[]) => void | Promise<void>): Promise<void> {
  try {
    for await (const frame of session.stdout) {
      await onPorts(parseReply(portsReply, frame as Buffer).ports);
      await sleep(SNAPSHOT_PAUSE_MS, undefined, { ref: false });
    }
  } catch (error) {
    session.stdout.destroy(error as Error);
  }
}
