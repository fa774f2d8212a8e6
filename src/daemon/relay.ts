import type { Duplex, Readable, Writable } from 'node:stream';
import type { FrameSession } from '../guest/frame-session.ts';
import { encodeData, encodeExit, encodeFrame, type Frame, FRAME_TYPES, FrameDecoder } from '../lib/frames.ts';
import { BangerError } from '../model/errors.ts';

/**
 * While the guest accepts nothing, the daemon does not read from the client, and so does not notice that it disconnects: Node reports the
 * end of a connection only to readers and writers. So the daemon writes a frame without effect, which fails if the client is gone.
 */
const PROBE_EVERY_MS = 2000;

/** EXIT status of a session that was lost; the CLI turns it into its own status. */
const LOST_STATUS = 125;

/**
 * Joins a client's stream of frames to a session in the guest until the session ends or the client disconnects.
 * Reads and rewrites every frame, so that neither side gets a frame that the other must not send.
 * @param whyLost returns the reason if the session is lost
 */
export async function relay(client: Duplex, session: FrameSession, whyLost?: () => string | undefined): Promise<void> {
  const decoder = new FrameDecoder();
  client.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) receive(frame, session, client);
    } catch {
      // Not frames: disconnect a client that speaks another protocol.
      client.destroy();
    }
  });
  // Sockets of the HTTP server stay half-open, so a killed client only shows as `end`.
  client.once('end', () => session.close());
  client.once('close', () => session.close());
  client.once('error', () => session.close());
  await Promise.all([pump(session.stdout, 'data', client), pump(session.stderr, 'stderr', client)]);
  const exit = await session.exit.catch((error: unknown) => ({ status: LOST_STATUS, reason: whyLost?.() ?? lostReason(error) }));
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

/** Stops reading from the client until the guest accepts more. */
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
    // The session was lost; its exit status says so.
  }
}

/** Calls back once the stream accepts more or is closed; a stream that fills often must not collect listeners. */
function whenWritable(stream: Writable, callback: () => void): void {
  const settle = (): void => {
    stream.off('drain', settle);
    stream.off('close', settle);
    callback();
  };
  stream.on('drain', settle);
  stream.on('close', settle);
}
