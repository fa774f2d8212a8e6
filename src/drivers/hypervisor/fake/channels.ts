import { type Duplex, duplexPair } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../../../model/errors.ts';
import type { AgentChannel, MachineExit } from '../contract.ts';
import { type FakeGuest, serveAgent } from './guest.ts';

export const CHANNEL_COUNT = 16;
const POLL_MS = 5;

/** Channels to a simulated guest: as many as virtio-serial ports; returned channels stay connected. */
export class FakeChannels {
  readonly #guest: FakeGuest;
  readonly #answers: () => boolean;
  readonly #open = new Set<Duplex>();
  readonly #over = new AbortController();
  #idle: Duplex[] = [];

  /** @param answers whether the guest answers at present */
  constructor(guest: FakeGuest, exited: Promise<MachineExit>, answers: () => boolean) {
    this.#guest = guest;
    this.#answers = answers;
    void exited.then(() => this.close());
  }

  /** @throws AGENT_UNREACHABLE if cancelled or if the machine ends */
  async open(signal: AbortSignal): Promise<AgentChannel> {
    const either = AbortSignal.any([signal, this.#over.signal]);
    while (!this.#answers() || (this.#idle.length === 0 && this.#open.size >= CHANNEL_COUNT)) {
      await sleep(POLL_MS, undefined, { signal: either }).catch(() => undefined);
      if (either.aborted) break;
    }
    if (either.aborted) throw new BangerError('AGENT_UNREACHABLE', 'the guest agent cannot be reached: the wait for it ended');
    const stream = this.#idle.pop() ?? this.#connect();
    let done = false;
    const finish = (keep: boolean): void => {
      if (done) return;
      done = true;
      stream.off('close', onClose);
      if (keep && !stream.destroyed && stream.readableLength === 0) this.#idle.push(stream);
      else stream.destroy();
    };
    const onClose = (): void => finish(false);
    stream.once('close', onClose);
    return { stream, release: () => finish(true), destroy: () => finish(false) };
  }

  /** Cuts every connection. */
  close(): void {
    this.#over.abort();
    for (const stream of this.#open) stream.destroy();
    this.#idle = [];
  }

  #connect(): Duplex {
    const [hostSide, guestSide] = duplexPair();
    this.#open.add(hostSide);
    hostSide.on('error', () => undefined);
    hostSide.once('close', () => {
      this.#open.delete(hostSide);
      this.#idle = this.#idle.filter((stream) => stream !== hostSide);
      guestSide.destroy();
    });
    guestSide.once('close', () => hostSide.destroy());
    void serveAgent(guestSide, this.#guest).finally(() => guestSide.destroy());
    return hostSide;
  }
}
