// The first request of an HTTP/2 connection with prior knowledge (RFC 9113 §3.3). Header compression is left to Node's own
// HTTP/2: a session that nobody hears reads a copy of the bytes. It speaks only when the request goes nowhere.
import { type IncomingHttpHeaders, type ServerHttp2Stream, createServer } from 'node:http2';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const FRAME_HEAD_BYTES = 9;
const SETTINGS = 4;
const ACK = 1;
/** SETTINGS without any; what a server must say first. */
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
/** Some clients send no request before the server has spoken. */
const SPEAK_FIRST_MS = 200;

export type Http2Head = {
  /** What the guest is to get. */
  bytes: Buffer;
  headers: ReadonlyMap<string, string>;
  /** Answers the client, instead of the guest. */
  respond(status: number, headers: Record<string, string>, body: string): void;
};

/** @returns whether the bytes begin an HTTP/2 connection */
export function isPreface(bytes: Buffer): 'whole' | 'part' | 'no' {
  const length = Math.min(bytes.length, PREFACE.length);
  if (Buffer.compare(bytes.subarray(0, length), PREFACE.subarray(0, length)) !== 0) return 'no';
  return length === PREFACE.length ? 'whole' : 'part';
}

const listener = createServer({ settings: { maxHeaderListSize: 16_384 } });
listener.on('sessionError', () => undefined);

/** @param bytes with the preface. @returns undefined when no request comes, or what comes is none */
export async function readHttp2Head(
  socket: Socket,
  bytes: Buffer,
  next: () => Promise<Buffer | undefined>,
  maxBytes: number,
): Promise<Http2Head | undefined> {
  const ear = openEar(socket);
  let all = bytes;
  let hasSpoken = false;
  let isHeard = false;
  void ear.request.then(() => (isHeard = true));
  const timer = setTimeout(() => {
    if (isHeard) return;
    hasSpoken = true;
    socket.write(EMPTY_SETTINGS);
  }, SPEAK_FIRST_MS);
  try {
    ear.hear(bytes);
    for (;;) {
      // The session hears in turns of its own.
      await new Promise((resolve) => setImmediate(resolve));
      const withoutAck = hasSpoken ? dropAck(all) : all;
      if (isHeard && withoutAck !== undefined) {
        const { stream, headers } = await ear.request;
        return { bytes: withoutAck, headers, respond: (status, fields, body) => ear.speak(stream, status, fields, body) };
      }
      if (all.length > maxBytes || ear.isBroken()) return undefined;
      const more = await Promise.race([next(), ear.broke]);
      if (more === undefined) return undefined;
      all = Buffer.concat([all, more]);
      ear.hear(more);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** The client acknowledges the settings that we sent; the guest never sent them. @returns undefined before it has */
function dropAck(bytes: Buffer): Buffer | undefined {
  let at = PREFACE.length;
  while (at + FRAME_HEAD_BYTES <= bytes.length) {
    const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
    if (bytes[at + 3] === SETTINGS && ((bytes[at + 4] ?? 0) & ACK) !== 0)
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    at = end;
  }
  return undefined;
}

type Request = { stream: ServerHttp2Stream; headers: ReadonlyMap<string, string> };

function openEar(socket: Socket) {
  const unsaid: Buffer[] = [];
  let isMute = true;
  const { promise: request, resolve } = Promise.withResolvers<Request>();
  const { promise: broke, resolve: giveUp } = Promise.withResolvers<undefined>();
  let isBroken = false;
  const ear = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      if (isMute) unsaid.push(chunk);
      else socket.write(chunk);
      done();
    },
    final(done) {
      if (!isMute) socket.end();
      done();
    },
  });
  ear.on('error', () => undefined);
  ear.once('close', () => {
    isBroken = true;
    giveUp(undefined);
  });
  listener.once('session', (session) => {
    session.on('error', () => undefined);
    session.once('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      resolve({ stream, headers: textOf(headers) });
    });
  });
  listener.emit('connection', ear);
  return {
    request,
    broke,
    isBroken: () => isBroken,
    hear: (bytes: Buffer): void => void ear.push(bytes),
    speak(stream: ServerHttp2Stream, status: number, headers: Record<string, string>, body: string): void {
      isMute = false;
      for (const chunk of unsaid.splice(0)) socket.write(chunk);
      socket.on('data', (chunk: Buffer) => void ear.push(chunk));
      stream.respond({ ':status': status, ...headers });
      stream.end(body, () => stream.session?.close());
    },
  };
}

function textOf(headers: IncomingHttpHeaders): Map<string, string> {
  return new Map(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? (value[0] ?? '') : String(value)]));
}
