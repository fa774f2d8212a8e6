// One command in a guest: moves frames between the daemon's socket and the caller's streams.
import type { Duplex } from 'node:stream';
import { writeAll } from './send.ts';
import { decodeExit, encodeData, encodeFrame, encodeResize, encodeSignal, FRAME_TYPES, FrameDecoder, FrameProblem } from '../lib/frames.ts';
import { BangerError } from '../model/errors.ts';
import { given } from '../lib/given.ts';

export type SessionOptions = {
  /** The source of the guest's stdin; default: stdin is closed at once. */
  input: AsyncIterable<Uint8Array> | undefined;
  output: NodeJS.WritableStream;
  errors: NodeJS.WritableStream;
  /** A tunnel ends with the guest's side of it. A command may close its output long before it ends. */
  endsAtEof?: boolean;
};

export type SessionExit = { status: number; reason: string };

/** A session in a guest over one connection. If it cannot send any more, its end shows why. */
export type GuestSession = {
  /** Like runSession; call it once. */
  run(options: SessionOptions): Promise<SessionExit>;
  /** @param number of a signal of Linux */
  sendSignal(number: number): void;
  /** Sends the size of the terminal. */
  sendWindow(rows: number, columns: number): void;
  /** Ends the command in the guest. */
  close(): void;
};

/** @param socket the raw stream after the upgrade */
export function createSession(socket: Duplex): GuestSession {
  const send = (frame: Buffer): void => {
    if (socket.writable) socket.write(frame);
  };
  return {
    run: (options) => runSession(socket, options),
    sendSignal: (number) => send(encodeSignal(number)),
    sendWindow: (rows, columns) => send(encodeResize(rows, columns)),
    close: () => send(encodeFrame('close')),
  };
}

/**
 * Moves bytes both ways until the command in the guest ends.
 * @param socket the raw stream after the upgrade
 * @throws AGENT_UNREACHABLE if the stream ends before the command, CANCELLED if the request was cancelled, AGENT_PROTOCOL if the stream
 * holds no frames; an error of the input at once, because the command would wait for the rest of it forever
 */
export async function runSession(socket: Duplex, options: SessionOptions): Promise<SessionExit> {
  try {
    return await Promise.race([receive(socket, options), failureOfInput(socket, options.input)]);
  } catch (error) {
    if (error instanceof FrameProblem)
      throw new BangerError('AGENT_PROTOCOL', 'the guest sent something that is not a frame', { cause: error });
    throw error;
  } finally {
    if (!socket.destroyed) socket.end(encodeFrame('close'));
  }
}

async function receive(socket: Duplex, options: SessionOptions): Promise<SessionExit> {
  const decoder = new FrameDecoder();
  const lost = (cause?: unknown): BangerError =>
    new BangerError('AGENT_UNREACHABLE', 'lost the connection to the daemon before the command ended; the guest ends the command', {
      remedy: 'banger daemon status',
      ...given({ cause }),
    });
  const chunks = socket[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw error instanceof BangerError ? error : lost(error);
    });
    if (next.done === true) throw lost();
    for (const frame of decoder.push(next.value as Buffer)) {
      if (frame.type === FRAME_TYPES.data) await writeAll(options.output, frame.payload);
      else if (frame.type === FRAME_TYPES.stderr) await writeAll(options.errors, frame.payload);
      else if (frame.type === FRAME_TYPES.eof && options.endsAtEof === true) return { status: 0, reason: '' };
      else if (frame.type === FRAME_TYPES.exit) return decodeExit(frame.payload);
    }
  }
}

/** Sends the input to its end. Settles only if the input fails. */
function failureOfInput(socket: Duplex, input: AsyncIterable<Uint8Array> | undefined): Promise<never> {
  return new Promise((_, reject) => {
    sendInput(socket, input).catch((error: unknown) => reject(inputFailure(error)));
  });
}

async function sendInput(socket: Duplex, input: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  for await (const chunk of input ?? []) {
    if (!socket.writable) return;
    const sent = writeAll(socket, encodeData(typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
    // A socket that accepts no more data has ended; the missing EXIT shows that.
    if (!(await sent.then(() => true).catch(() => false))) return;
  }
  if (socket.writable) socket.write(encodeFrame('eof'));
}

/** @returns the error for unreadable input */
export function inputFailure(error: unknown): BangerError {
  if (error instanceof BangerError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === 'EISDIR' ? 'it is a directory' : (code ?? message);
  return new BangerError('NOT_PERMITTED', `the input cannot be read: ${why}`, { cause: error });
}
