import { Readable, Writable } from 'node:stream';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { FRAME_TYPES, FrameDecoder, FrameProblem, encodeFrame, encodeResize, encodeSignal } from '../lib/frames.ts';

/** Small enough that a key press does not wait long behind a paste, large enough to be cheap. */
const STDIN_CHUNK_BYTES = 32_768;
/** After CLOSE, the agent ends the process group within 2 s and then sends EXIT. */
const CLOSE_LIMIT_MS = 5000;
const MAX_REASON_BYTES = 1024;

export type SessionExit = { status: number; reason: string };

/**
 * A channel in frame state. The caller must read both outputs: an unread one blocks the guest's writer, and with it the session's end.
 */
export class FrameSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles at the session's end. @throws AGENT_UNREACHABLE if the channel closed first, AGENT_PROTOCOL */
  readonly exit: Promise<SessionExit>;
  readonly #channel: AgentChannel;
  readonly #decoder = new FrameDecoder(['data', 'stderr', 'eof', 'exit']);
  readonly #exit = Promise.withResolvers<SessionExit>();
  readonly #full = new Set<Readable>();
  #ended = false;
  #closing = false;
  #closeTimer: NodeJS.Timeout | undefined;

  /**
   * @param early bytes that came with the reply's head
   * @param form `whole-frames`: every read of stdout returns the payload of exactly one frame
   */
  constructor(channel: AgentChannel, early: Buffer, form?: 'whole-frames') {
    this.#channel = channel;
    this.exit = this.#exit.promise;
    this.exit.catch(() => undefined);
    this.stdout = new Readable({
      // One whole frame is enough: a frame may have 64 KiB.
      ...(form === 'whole-frames' && { objectMode: true, highWaterMark: 1 }),
      read: () => this.#wanted(this.stdout),
      destroy: (_, done) => this.#abandoned(done),
    });
    this.stderr = new Readable({ read: () => this.#wanted(this.stderr) });
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => this.#sendData(chunk, done),
      final: (done) => this.#send(encodeFrame('eof'), done),
    });
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.on('error', () => undefined);
    channel.stream.on('data', this.#onData);
    channel.stream.once('close', this.#onClose);
    channel.stream.once('end', this.#onClose);
    if (early.length > 0) channel.stream.unshift(early);
    channel.stream.resume();
  }

  /** Sends the size of the terminal to the guest. */
  resize(rows: number, columns: number): void {
    this.#send(encodeResize(rows, columns));
  }

  /** Sends a signal to the process group. @param signalNumber 1 to 64 */
  signal(signalNumber: number): void {
    this.#send(encodeSignal(signalNumber));
  }

  /** Ends the session: the guest's process gets SIGHUP, then SIGKILL. `exit` reports the result. Idempotent. */
  close(): void {
    if (this.#ended || this.#closing) return;
    this.#channel.stream.write(encodeFrame('close'));
    this.#closing = true;
    this.#closeTimer = setTimeout(() => this.#fail(unreachable('it did not end the session in time')), CLOSE_LIMIT_MS);
    this.#channel.stream.resume();
  }

  readonly #onClose = (): void => this.#fail(unreachable('the channel was closed'));

  readonly #onData = (chunk: Buffer): void => {
    try {
      const frames = this.#decoder.push(chunk);
      for (const [index, frame] of frames.entries()) {
        const isLast = index === frames.length - 1 && this.#decoder.pendingBytes === 0;
        if (this.#ended) return;
        if (frame.type === FRAME_TYPES.exit) this.#finish(frame.payload, isLast);
        else this.#deliver(frame.type, frame.payload);
      }
    } catch (error) {
      this.#fail(error);
    }
  };

  #deliver(type: number, payload: Buffer): void {
    // After CLOSE nobody reads the output; the rest is skipped.
    if (this.#closing) return;
    const stream = type === FRAME_TYPES.stderr ? this.stderr : this.stdout;
    if (stream.readableEnded || stream.destroyed) return;
    if (type === FRAME_TYPES.eof) stream.push(null);
    else if (payload.length > 0 && !stream.push(payload)) {
      this.#full.add(stream);
      this.#channel.stream.pause();
    }
  }

  /** Node calls `read` while the buffer still counts as full, so this remembers that it was full. */
  #wanted(stream: Readable): void {
    this.#full.delete(stream);
    if (this.#full.size === 0 && !this.#ended) this.#channel.stream.resume();
  }

  #finish(payload: Buffer, isLast: boolean): void {
    if (payload.length < 4 || !isLast) {
      this.#fail(new BangerError('AGENT_PROTOCOL', 'the guest agent ended a session improperly', { details: { bytes: payload.length } }));
      return;
    }
    if (!this.#closing) this.#channel.stream.write(encodeFrame('close'));
    this.#leave();
    this.#channel.release();
    endReadable(this.stdout);
    endReadable(this.stderr);
    this.stdin.destroy();
    this.#exit.resolve({ status: payload.readInt32BE(0), reason: payload.subarray(4, 4 + MAX_REASON_BYTES).toString('utf8') });
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#leave();
    this.#channel.destroy();
    const reason = asBangerError(error);
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy(reason);
    this.#exit.reject(reason);
  }

  #leave(): void {
    this.#ended = true;
    clearTimeout(this.#closeTimer);
    this.#channel.stream.off('data', this.#onData);
    this.#channel.stream.off('close', this.#onClose);
    this.#channel.stream.off('end', this.#onClose);
    this.#channel.stream.pause();
  }

  /** A reader that gives up does not want the session any more. */
  #abandoned(done: (error?: Error | null) => void): void {
    if (!this.stdout.readableEnded) this.close();
    done();
  }

  #sendData(chunk: Buffer, done: (error?: Error | null) => void): void {
    if (chunk.length === 0) return done();
    for (let at = 0; at < chunk.length; at += STDIN_CHUNK_BYTES) {
      const isLast = at + STDIN_CHUNK_BYTES >= chunk.length;
      this.#send(encodeFrame('data', chunk.subarray(at, at + STDIN_CHUNK_BYTES)), isLast ? done : undefined);
    }
  }

  /** Node calls `done` once the socket has accepted the bytes, which gives `stdin` its back-pressure. */
  #send(frame: Buffer, done?: (error?: Error | null) => void): void {
    if (this.#ended || this.#closing) done?.();
    else this.#channel.stream.write(frame, (error) => done?.(error));
  }
}

function asBangerError(error: unknown): Error {
  if (error instanceof FrameProblem) return new BangerError('AGENT_PROTOCOL', `the guest agent sent ${error.message}`, { cause: error });
  return error instanceof Error ? error : unreachable('the channel failed');
}

function endReadable(stream: Readable): void {
  if (!stream.readableEnded && !stream.destroyed) stream.push(null);
}

function unreachable(reason: string): BangerError {
  return new BangerError('AGENT_UNREACHABLE', `the session in the guest was lost: ${reason}`);
}
