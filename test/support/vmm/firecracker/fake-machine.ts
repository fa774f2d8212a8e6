// A guest that speaks the agent's protocol, reached through the handshake of Firecracker's vsock.
import { randomUUID } from 'node:crypto';
import { unlinkSync, writeSync } from 'node:fs';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FakeGuest, createFakeGuest, serveAgent } from '../../../../src/drivers/hypervisor/fake/guest.ts';
import { AGENT_VSOCK_PORT, LAST_WORD_VSOCK_PORT } from '../../../../src/model/guest-agent.ts';
import type { FakeMachine } from './fake-api.ts';

/** Until its driver is loaded, the guest does not answer connections; until its agent runs, it refuses them. */
const DRIVER_MS = 10;
const AGENT_MS = 30;
const REACTION_MS = 5;
const MAX_HANDSHAKE_BYTES = 32;

/** One simulated machine; its end is the end of this process. */
export class FakeVirtualMachine implements FakeMachine {
  readonly #guest: FakeGuest = createFakeGuest(randomUUID(), (reboot) => void this.#shutDown(reboot ? 'reboot' : 'poweroff'));
  #vsock: { path: string; server: Server } | undefined;
  #arguments: string[] = [];
  #hasAgent = false;
  #nextPort = 1024;
  /** Connections that arrived before the guest could accept them. */
  #held: Socket[] = [];
  #isTaking = false;
  #isBooted = false;
  /** Whether the guest has been told since its last pause that its connections are reset. */
  #isResetTold = false;

  async bindVsock(path: string): Promise<void> {
    if (this.#vsock !== undefined) {
      // Remove only the name: closing the server would also remove another server's socket.
      unlinkSync(this.#vsock.path);
    }
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#arrive(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    this.#vsock = { path, server };
  }

  start(config: { bootArguments: string; serialFd: number | undefined }): void {
    this.#arguments = config.bootArguments.split(' ');
    if (config.serialFd !== undefined) writeSync(config.serialFd, 'Linux version 6.1.0-fake\nbanger: agent ready\n');
    void this.#boot();
  }

  /** What a snapshot keeps of the guest. */
  state(): Record<string, unknown> {
    const { bootId } = this.#guest;
    const files = [...this.#guest.files].map(([path, { content, mode }]) => [path, content.toString('latin1'), mode]);
    return { arguments: this.#arguments, isBooted: this.#isBooted, hasAgent: this.#hasAgent, bootId, files, vsock: this.#vsock?.path };
  }

  /** Becomes the machine that had this state, paused. @param vsock in place of the state's. @throws if it cannot be bound */
  async restore(state: Record<string, unknown>, vsock = state['vsock']): Promise<void> {
    this.#arguments = state['arguments'] as string[];
    this.#hasAgent = state['hasAgent'] === true;
    this.#guest.bootId = String(state['bootId']);
    this.#isBooted = state['isBooted'] === true;
    this.#isResetTold = true;
    for (const [path, content, mode] of state['files'] as [string, string, number][]) {
      this.#guest.files.set(path, { content: Buffer.from(content, 'latin1'), mode });
    }
    if (typeof vsock === 'string') await this.bindVsock(vsock);
  }

  /** After a resume, the device waits until the guest confirms that it has reset its connections; the guest must be told to. */
  setPaused(paused: boolean): void {
    this.#setTaking(!paused && (this.#isResetTold || !this.#isBooted));
    this.#isResetTold = false;
  }

  tellReset(): void {
    this.#isResetTold = true;
  }

  /** The guest acts after the answer to the request is sent. */
  pressCtrlAltDel(): void {
    setTimeout(() => void this.#shutDown('reboot'), REACTION_MS);
  }

  async #boot(): Promise<void> {
    await sleep(DRIVER_MS);
    this.#isBooted = true;
    this.#setTaking(true);
    await sleep(AGENT_MS - DRIVER_MS);
    this.#hasAgent = true;
    const status = this.#value('fake.exit');
    if (status !== undefined) process.exit(Number(status));
  }

  #value(name: string): string | undefined {
    return this.#arguments.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  }

  /** A reset ends the VMM. A power-off does not: the guest must tell the host and then reset. */
  async #shutDown(word: 'poweroff' | 'reboot'): Promise<void> {
    const isResetter = this.#value('banger.poweroff') === 'reset';
    if (isResetter) await this.#tellHost(word);
    if (word === 'poweroff' && !isResetter) return;
    // The VMM considers only `reboot=k` a clean way.
    process.exit(this.#value('reboot') === 'k' ? 0 : 1);
  }

  #tellHost(word: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ path: `${this.#vsock?.path}_${LAST_WORD_VSOCK_PORT}` });
      socket.on('error', () => undefined);
      socket.once('close', () => resolve());
      socket.end(`${word}\n`);
      socket.resume();
    });
  }

  #setTaking(isTaking: boolean): void {
    this.#isTaking = isTaking;
    if (!isTaking) return;
    const held = this.#held;
    this.#held = [];
    for (const socket of held) this.#arrive(socket);
  }

  #arrive(socket: Socket): void {
    socket.on('error', () => undefined);
    if (!this.#isTaking) this.#held.push(socket);
    else socket.once('readable', () => this.#shakeHands(socket));
  }

  /** The line is read once: a connection with an incomplete line is dropped. */
  #shakeHands(socket: Socket): void {
    const line = (socket.read() as Buffer | null)?.toString('latin1') ?? '';
    const port = /^connect (\d+)\n$/i.exec(line)?.[1];
    const isServed = Number(port) === AGENT_VSOCK_PORT && this.#hasAgent && this.#value('banger.transport') === 'vsock';
    if (line.length > MAX_HANDSHAKE_BYTES || !isServed) {
      socket.destroy();
      return;
    }
    socket.write(`OK ${this.#nextPort++}\n`);
    void serveAgent(socket, this.#guest).finally(() => socket.destroy());
  }
}
