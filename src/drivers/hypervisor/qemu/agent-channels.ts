import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectOwnSocket } from '../../../lib/own-socket.ts';
import type { AgentChannel } from '../contract.ts';
import { shakeHands, unreachable } from '../agent-handshake.ts';

/** Refuses callers beyond this many waiting ones: some caller never returns its channels. */
const MAX_WAITING = 256;
/** How much to skip before the reply to BANGER-SYNC; more comes from a guest that does not follow the protocol. */
const MAX_DISCARDED_BYTES = 4 * 1024 ** 2;
/** docs/agent-protocol.md: a used channel must answer within this time, or is connected again. */
const FIRST_ANSWER_MS = 1000;
const MAX_ANSWER_MS = 8000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

type Port = {
  path: string;
  /** Connected, synchronised and unused. */
  idle?: { socket: Socket; stop: () => void };
  busy: boolean;
  /** Nothing was sent on it since the guest's power-on: the reply comes whenever the guest is up. */
  fresh: boolean;
  lastClosedAt: number;
};

type Waiting = { grant(port: Port): void };

/** The pool of a machine's virtio-serial ports. Each is a Unix socket that QEMU serves to one client at a time. */
export class AgentChannels {
  readonly #ports: Port[];
  readonly #waiting: Waiting[] = [];
  readonly #closed = new AbortController();

  /** @param fresh whether the guest is being powered on now */
  constructor(paths: readonly string[], fresh: boolean) {
    this.#ports = paths.map((path) => ({ path, busy: false, fresh, lastClosedAt: 0 }));
  }

  /**
   * Takes a port, connects and synchronises it, and returns it.
   * @throws AGENT_UNREACHABLE if cancelled, closed, or if too many callers wait already
   */
  async open(signal: AbortSignal): Promise<AgentChannel> {
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const port = await this.#take(either);
    try {
      const socket = this.#reuse(port) ?? (await synchronise(port, either));
      port.fresh = false;
      return this.#channel(port, socket);
    } catch (error) {
      this.#giveBack(port);
      throw error;
    }
  }

  /** Closes every idle connection and refuses all callers; channels in use end with their machine. */
  close(): void {
    this.#closed.abort();
    for (const port of this.#ports) {
      port.idle?.socket.destroy();
      delete port.idle;
    }
  }

  #take(signal: AbortSignal): Promise<Port> {
    if (signal.aborted) return Promise.reject(unreachable('the wait for the guest ended'));
    const free = this.#ports.filter((port) => !port.busy);
    // A connected port needs no handshake. Of the others, the guest has most certainly noticed the end of the one closed longest ago.
    const port = free.find((candidate) => candidate.idle !== undefined) ?? free.sort((a, b) => a.lastClosedAt - b.lastClosedAt)[0];
    if (port !== undefined) {
      port.busy = true;
      return Promise.resolve(port);
    }
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(unreachable('too many callers wait for a free channel'));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(unreachable('no channel became free in time'));
      };
      const waiting: Waiting = {
        grant: (granted) => {
          signal.removeEventListener('abort', onAbort);
          resolve(granted);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  #giveBack(port: Port): void {
    const next = this.#waiting.shift();
    if (next === undefined) port.busy = false;
    else next.grant(port);
  }

  #reuse(port: Port): Socket | undefined {
    const idle = port.idle;
    if (idle === undefined) return undefined;
    delete port.idle;
    idle.stop();
    return idle.socket.destroyed ? undefined : idle.socket;
  }

  #channel(port: Port, socket: Socket): AgentChannel {
    let done = false;
    const finish = (keep: boolean): void => {
      if (done) return;
      done = true;
      socket.off('close', onClose);
      if (keep && !socket.destroyed && socket.readableLength === 0 && !this.#closed.signal.aborted) this.#park(port, socket);
      else {
        socket.destroy();
        port.lastClosedAt = performance.now();
      }
      this.#giveBack(port);
    };
    const onClose = (): void => finish(false);
    socket.once('close', onClose);
    return { stream: socket, release: () => finish(true), destroy: () => finish(false) };
  }

  /** Keeps the connection for the next caller. If the guest sends anything before a request, the connection is closed. */
  #park(port: Port, socket: Socket): void {
    const drop = (): void => {
      socket.destroy();
      port.lastClosedAt = performance.now();
      if (port.idle?.socket === socket) delete port.idle;
    };
    socket.on('data', drop);
    socket.once('close', drop);
    socket.resume();
    const stop = (): void => {
      socket.off('data', drop);
      socket.off('close', drop);
      socket.pause();
    };
    port.idle = { socket, stop };
  }
}

/** Connects until the guest has answered. A fresh port waits on one connection; a used one is connected again. */
async function synchronise(port: Port, signal: AbortSignal): Promise<Socket> {
  let answerMs = FIRST_ANSWER_MS;
  let pauseMs = FIRST_PAUSE_MS;
  await pause(port.lastClosedAt + FIRST_PAUSE_MS - performance.now(), signal);
  for (;;) {
    const limit = port.fresh ? signal : AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
    const socket = await attempt(port.path, limit);
    port.fresh = false;
    if (socket !== undefined) return socket;
    if (signal.aborted) throw unreachable('the guest agent did not answer before the wait ended');
    await pause(pauseMs, signal);
    answerMs = Math.min(answerMs * 2, MAX_ANSWER_MS);
    pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  try {
    await sleep(milliseconds, undefined, { signal });
  } catch (error) {
    throw unreachable('the wait for the guest ended', error);
  }
}

/** One connection and one BANGER-SYNC. @returns the paused socket in HTTP state, or undefined */
function attempt(path: string, signal: AbortSignal): Promise<Socket | undefined> {
  const line = `BANGER-SYNC ${randomBytes(8).toString('hex')}\n`;
  return shakeHands(connectOwnSocket(path), { line, judge: answerSearch(line), signal });
}

/**
 * Looks for the reply in a stream that may begin with the rest of an older session.
 * @returns a function that returns true once the line ends the stream, false if it never will, undefined to continue
 */
export function answerSearch(line: string): (chunk: Buffer) => boolean | undefined {
  const wanted = Buffer.from(line);
  let tail = Buffer.alloc(0);
  let discarded = 0;
  return (chunk) => {
    const seen = Buffer.concat([tail, chunk]);
    const at = seen.indexOf(wanted);
    // In HTTP state the guest agent sends nothing before a request, so bytes after the reply break the protocol.
    if (at >= 0) return at + wanted.length === seen.length;
    discarded += chunk.length;
    if (discarded > MAX_DISCARDED_BYTES) return false;
    tail = seen.subarray(Math.max(0, seen.length - wanted.length + 1));
    return undefined;
  };
}
