// One command in a guest: frames on the daemon's socket to and from our streams.
import type { Duplex } from 'node:stream';
import { constants } from 'node:os';
import { writeAll } from './send.ts';
import { decodeExit, encodeData, encodeFrame, encodeResize, encodeSignal, FRAME_TYPES, FrameDecoder, FrameProblem } from '../lib/frames.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli, Input, Output } from '../cli/cli.ts';

export type SessionOptions = {
  /** Where the guest's stdin comes from; none: it is closed at once. */
  input: AsyncIterable<Uint8Array> | undefined;
  output: NodeJS.WritableStream;
  errors: NodeJS.WritableStream;
  /** A tunnel is over when the guest's side of it is; a command may close its output long before it ends. */
  endsAtEof?: boolean;
};

export type SessionExit = { status: number; reason: string };

/**
 * Moves bytes both ways until the command in the guest has ended.
 * @param socket the raw stream after the upgrade
 * @throws AGENT_UNREACHABLE when the stream ends before the command does, AGENT_PROTOCOL when it is no frames, and at once what the
 *   input fails with: the command would wait for the rest of it for ever
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
    new BangerError('AGENT_UNREACHABLE', 'the daemon, or the way to it, ended before the command did; the guest ends the command with it', {
      remedy: 'banger daemon status',
      ...(cause === undefined ? {} : { cause }),
    });
  const chunks = socket[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw lost(error);
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

/** Sends the input to its end. Settles only when the input fails. */
function failureOfInput(socket: Duplex, input: AsyncIterable<Uint8Array> | undefined): Promise<never> {
  return new Promise((_, reject) => {
    sendInput(socket, input).catch((error: unknown) => reject(inputFailure(error)));
  });
}

async function sendInput(socket: Duplex, input: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  for await (const chunk of input ?? []) {
    if (!socket.writable) return;
    const sent = writeAll(socket, encodeData(typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
    // A socket that takes no more has ended; that shows as the missing EXIT.
    if (!(await sent.then(() => true).catch(() => false))) return;
  }
  if (socket.writable) socket.write(encodeFrame('eof'));
}

/** @returns rows and columns; what starts a program on a terminal often forgets to say how large that is (0 × 0) */
export function windowOf({ rows = 0, columns = 0 }: Output): [rows: number, columns: number] {
  return [rows > 0 ? rows : 24, columns > 0 ? columns : 80];
}

/** @returns the error for an input that cannot be read to its end */
export function inputFailure(error: unknown): BangerError {
  if (error instanceof BangerError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === 'EISDIR' ? 'it is a directory' : (code ?? message);
  return new BangerError('NOT_PERMITTED', `the input cannot be read: ${why}`, { cause: error });
}

/**
 * Gives the terminal's keys to the guest (raw mode) and tells it when the window changes.
 * @returns what puts the terminal back
 */
export function takeTerminal(input: Input, output: Output, socket: Duplex): () => void {
  const onResize = (): void => {
    if (socket.writable) socket.write(encodeResize(...windowOf(output)));
  };
  input.setRawMode?.(true);
  output.on('resize', onResize);
  const restore = (): void => {
    output.off('resize', onResize);
    process.off('exit', restore);
    input.setRawMode?.(false);
  };
  // Whatever ends us, the user's shell must get its terminal back.
  process.on('exit', restore);
  return restore;
}

/** @returns what tells people that a session begins only when another one of the VM ends */
export function tellWait(cli: Cli, name: string): (sessions: number) => void {
  return (sessions) => cli.note(`banger: ${name} has ${sessions} sessions open, which is as many as it can have: waiting for one to end`);
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const;
/** After so many the user wants out, whatever the guest thinks. */
const PATIENCE = 3;

/**
 * Sends the signals that we get to the command in the guest; the third leaves. When our terminal goes away the session ends: nobody could
 * ever come back to it.
 * @returns what stops that
 */
export function forwardSignals(cli: Cli, socket: Duplex): () => void {
  let count = 0;
  const listeners = FORWARDED.map((name) => {
    const listener = (): void => {
      count++;
      if (count >= PATIENCE) {
        cli.note('banger: left; the command may still run in the guest');
        process.exit(128 + constants.signals[name]);
      }
      if (socket.writable) socket.write(encodeSignal(constants.signals[name]));
    };
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  const onHangUp = (): void => {
    // Whatever cannot be sent any more is told by the end of the connection.
    if (socket.writable) socket.write(encodeFrame('close'));
    process.exit(128 + constants.signals.SIGHUP);
  };
  process.on('SIGHUP', onHangUp);
  return () => {
    process.off('SIGHUP', onHangUp);
    for (const stop of listeners) stop();
  };
}
