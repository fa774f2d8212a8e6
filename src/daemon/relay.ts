import type { Duplex, Readable, Writable } from 'node:stream';
import type { FrameSession } from '../guest/frame-session.ts';
import { encodeData, encodeExit, encodeFrame, type Frame, FRAME_TYPES, FrameDecoder } from '../lib/frames.ts';
import { BangerError } from '../model/errors.ts';

/**
 * A client that is not read from, since the guest takes nothing more, cannot be heard to leave: Node tells the end of a connection to
 * readers and writers alone. So something is written that means nothing, and a client that is gone fails it.
 */
const PROBE_EVERY_MS = 2000;

/** EXIT status for a session that was lost, not ended; the CLI turns it into its own status. */
const LOST_STATUS = 125;

/**
 * Joins a client's stream of frames to a session in the guest until the session ends or the client goes away.
 * Every frame is read and written anew, so that neither side sees what the other must not send.
 */
export async function relay(client: Duplex, session: FrameSession): Promise<void> {
  const decoder = new FrameDecoder();
  client.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) receive(frame, session, client);
    } catch {
      // Not frames: a client that speaks something else is sent away.
      client.destroy();
    }
  });
  // Sockets of the HTTP server stay half open, so a client that was killed is only heard to end.
  client.once('end', () => session.close());
  client.once('close', () => session.close());
  client.once('error', () => session.close());
  await Promise.all([pump(session.stdout, 'data', client), pump(session.stderr, 'stderr', client)]);
  const exit = await session.exit.catch((error: unknown) => ({ status: LOST_STATUS, reason: lostReason(error) }));
  if (!client.destroyed) client.end(encodeExit(exit.status, exit.reason));
}

function lostReason(error: unknown): string {
  return error instanceof BangerError ? error.message : 'the session in the guest was lost';
}

function receive({ type, payload }: Frame, session: FrameSession, client: Duplex): void {
  if (type === FRAME_TYPES.data) {
    if (session.stdin.writable && !session.stdin.write(payload)) holdUp(client, session);
  } else if (type === FRAME_TYPES.eof) {
    session.stdin.end();
  } else if (type === FRAME_TYPES.resize && payload.length === 4) {
    session.resize(payload.readUInt16BE(0), payload.readUInt16BE(2));
  } else if (type === FRAME_TYPES.signal && payload.length === 1) {
    session.signal(payload.readUInt8(0));
  } else if (type === FRAME_TYPES.close) {
    session.close();
  }
}

/** Reads no more of the client until the guest takes more. */
function holdUp(client: Duplex, session: FrameSession): void {
  if (client.isPaused()) return;
  client.pause();
  const probe = setInterval(() => {
    if (!client.destroyed) client.write(encodeFrame('data'));
  }, PROBE_EVERY_MS).unref();
  whenWritable(session.stdin, () => {
    clearInterval(probe);
    client.resume();
  });
}

async function pump(from: Readable, name: 'data' | 'stderr', to: Duplex): Promise<void> {
  try {
    for await (const chunk of from) {
      if (to.destroyed) return;
      if (!to.write(encodeData(chunk as Buffer, name))) await new Promise<void>((resolve) => whenWritable(to, resolve));
    }
    if (!to.destroyed && name === 'data') to.write(encodeFrame('eof'));
  } catch {
    // The session broke off; how it ended is told by its exit.
  }
}

/** Calls back when the stream takes more or is gone; a stream that fills often must not collect listeners. */
function whenWritable(stream: Writable, callback: () => void): void {
  const settle = (): void => {
    stream.off('drain', settle);
    stream.off('close', settle);
    callback();
  };
  stream.on('drain', settle);
  stream.on('close', settle);
}
