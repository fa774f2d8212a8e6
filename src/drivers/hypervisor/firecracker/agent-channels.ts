import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_VSOCK_PORT, AGENT_VSOCK_WORKERS } from '../../../model/guest-agent.ts';
import type { AgentChannel } from '../contract.ts';
import { shakeHands, unreachable } from '../agent-handshake.ts';

/** Half of the guest agent's workers; more callers wait. */
export const MAX_CHANNELS = AGENT_VSOCK_WORKERS / 2;
/** Refuses callers beyond this many waiting ones: some caller never returns its channels. */
const MAX_WAITING = 256;
/** More than `OK ` and a port number. */
const MAX_ANSWER_BYTES = 32;
/** The VMM gives a guest 2 s to accept. A guest whose vsock driver is not loaded yet leaves the connection unanswered for longer. */
const FIRST_PAUSE_MS = 10;
const MAX_PAUSE_MS = 250;

/** Connections to the guest agent through the VMM's Unix socket; each is new, with a worker of its own. */
export class AgentChannels {
  readonly #connect: () => Socket;
  readonly #waiting: (() => void)[] = [];
  readonly #open = new Set<Socket>();
  readonly #closed = new AbortController();
  #taken = 0;

  /** @param connect opens a connection to the VMM's socket */
  constructor(connect: () => Socket) {
    this.#connect = connect;
  }

  /** @throws AGENT_UNREACHABLE if cancelled, closed, or if too many callers wait already */
  async open(signal: AbortSignal): Promise<AgentChannel> {
    const either = AbortSignal.any([signal, this.#closed.signal]);
    await this.#take(either);
    try {
      const socket = await reachAgent(this.#connect, either);
      if (socket.destroyed) throw unreachable('it closed the connection at once');
      return this.#channel(socket);
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  /** Closes the present connections; new ones are possible. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** From now on refuses all callers, and closes the present connections. */
  close(): void {
    this.#closed.abort();
    this.cut();
  }

  #take(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(unreachable('the wait for the guest ended'));
    if (this.#taken < MAX_CHANNELS) {
      this.#taken++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(unreachable('too many callers wait for a free channel'));
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(grant), 1);
        reject(unreachable('no channel became free in time'));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(grant);
    });
  }

  #giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next();
  }

  /** Closes a used connection instead of keeping it: a new one costs less than finding out whether the old one is clean. */
  #channel(socket: Socket): AgentChannel {
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#giveBack();
    });
    const end = (): void => void socket.destroy();
    return { stream: socket, release: end, destroy: end };
  }
}

/** Connects until the guest has accepted. */
async function reachAgent(connect: () => Socket, signal: AbortSignal): Promise<Socket> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    const socket = await attempt(connect(), signal);
    if (socket !== undefined) return socket;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) throw unreachable('the guest agent did not answer before the wait ended');
  }
}

/** One connection and its handshake. @returns the paused socket, or undefined */
function attempt(socket: Socket, signal: AbortSignal): Promise<Socket | undefined> {
  let answer = '';
  const judge = (chunk: Buffer): boolean | undefined => {
    answer += chunk.toString('latin1');
    // The guest agent sends nothing before a request, so bytes behind the line break the protocol.
    return answer.includes('\n') || answer.length > MAX_ANSWER_BYTES ? /^OK \d{1,10}\n$/.test(answer) : undefined;
  };
  // In one write: the VMM reads the line at once, and drops a caller whose line is not complete.
  return shakeHands(socket, { line: `CONNECT ${AGENT_VSOCK_PORT}\n`, judge, signal });
}
