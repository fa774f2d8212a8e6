import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { BangerError } from '../model/errors.ts';
import { ANSWER_MS, type CallOptions, limitOf, withChannel, ask, refusal } from './agent-call.ts';
import { type OpenChannel, type Request, exchangeHead, receiveBody, encodeRequest, settleChannel } from './agent-exchange.ts';
import { type GuestFile, getFile, putFile } from './agent-files.ts';
import { type FileStatus, harmless, healthReply, infoReply, parseReply, personalizeReply, portsReply, statReply } from './agent-replies.ts';
import { type ClockReading, readClock } from './clock.ts';
import { FrameSession } from './frame-session.ts';
import type { AgentHealth, AgentInfo, ExecRequest, GuestPort, Personalization, Personalized } from './protocol.ts';

/** The least speed of a body into a guest, on a busy host under emulation. */
const BODY_BYTES_PER_MS = 512;
/** Personalising grows file systems. */
const PERSONALIZE_MS = 60_000;
/** Function not implemented, of Linux. */
const ENOSYS = 38;
/** Between two events of a kind; an honest agent checks every 500 ms. */
const EVENT_PAUSE_MS = 100;

/** The host's side of docs/agent-protocol.md. Every reply is treated as hostile: its size and time are limited, and it is validated. */
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
  /** Members that are left out stay as they are in the guest. All but the troubles of the answer is in effect. */
  personalize(personalization: Partial<Personalization>, options?: CallOptions): Promise<Personalized>;
  poweroff(request: { reboot: boolean }, options?: CallOptions): Promise<void>;
  /** @returns undefined if the agent belongs to an older image and does not know this request */
  readClock(options?: CallOptions): Promise<ClockReading | undefined>;
  /** Moves the guest's clock: at once, or at 0.5 ms a second by at most a second. */
  moveClock(by: { stepMs: number } | { slewMs: number }, options?: CallOptions): Promise<void>;
  /** Sets it to the host's, as exactly as the request's travel time allows. */
  setClock(options?: CallOptions): Promise<void>;
  /** Starts a command; `options` limit only the start. */
  openExec(request: ExecRequest, options?: CallOptions): Promise<FrameSession>;
  /** @param target `ssh`, or `address:port` inside the guest */
  openTunnel(target: string, options?: CallOptions): Promise<FrameSession>;
  /** Reports events in the guest until the session is closed. */
  watch(on: GuestEvents, options?: CallOptions): Promise<FrameSession>;
};

export type GuestEvents = {
  /** The listening ports, now and after each change, one call after the other. */
  ports(ports: GuestPort[]): void | Promise<void>;
  /** The guest's clock was set, by the host or inside. */
  clockSet(): void;
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
      const send = (given: Partial<Personalization>): Promise<Personalized> => {
        const members = (): object => ({ ...given, ...(given.unixMs === 'now' && { unixMs: now() }) });
        // A reply without a body: all of it is in effect.
        const parse = (body: Buffer): Personalized =>
          body.length === 0 ? { troubles: [], hasSshServer: true } : parseReply(personalizeReply, body);
        return postFor('/personalize', members, options, PERSONALIZE_MS, parse);
      };
      const { restored, ...others } = personalization;
      const { stopSignal, ...service } = personalization.service ?? {};
      if (restored === undefined && stopSignal === undefined) return send(personalization);
      try {
        return await send(personalization);
      } catch (error) {
        if (!(error instanceof BangerError) || error.details?.['status'] !== 400) throw error;
        // The agent of an older bundle refuses unknown members. It can go on where it was, but as another machine it would be no other one.
        if (restored === true && others.machineId !== undefined) throw error;
        if (stopSignal === undefined) return await send(others);
        const told = await send({ ...personalization, service: service as NonNullable<Personalization['service']> });
        const trouble = { what: 'the stop signal of the image, which its older agent does not know', errno: ENOSYS, held: null };
        return { ...told, troubles: [...told.troubles, trouble] };
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
    watch: (on, options) => watch(open, on, options ?? {}),
  };
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

async function watch(open: OpenChannel, on: GuestEvents, options: CallOptions): Promise<FrameSession> {
  const session = await openSession(open, { method: 'GET', target: '/ports/watch' }, 200, options, 'whole-frames');
  void hear(session.stdout, (frame) => on.ports(parseReply(portsReply, frame).ports));
  void hear(session.stderr, () => on.clockSet());
  return session;
}

/** A guest that sends events faster than this waits on a full channel; the host does not read. */
async function hear(frames: Readable, onFrame: (frame: Buffer) => void | Promise<void>): Promise<void> {
  try {
    for await (const frame of frames) {
      await onFrame(frame as Buffer);
      await sleep(EVENT_PAUSE_MS, undefined, { ref: false });
    }
  } catch (error) {
    frames.destroy(error as Error);
  }
}
