// Reads of a connection no more than tells whom it is for; every byte is kept, and goes on as it came.
import type { Socket } from 'node:net';
import { type Http2Head, isPreface, readHttp2Head } from './http2-head.ts';

export type FirstRequest = {
  /** none: bytes that are no HTTP. bad: HTTP that cannot be routed. */
  kind: 'http1' | 'http2' | 'none' | 'bad';
  bytes: Buffer;
  authority: string;
  method: string;
  /** Lower-case names; the last of equal ones. */
  headers: ReadonlyMap<string, string>;
  /** Answers an HTTP/2 request in its own tongue. */
  respond?: Http2Head['respond'];
};

const MAX_HEAD_BYTES = 32 * 1024;
const HEAD_TIMEOUT_MS = 15_000;
const LONGEST_METHOD = 20;

/** @returns the first request; undefined when the client goes away, says nothing for too long, or too much */
export async function readFirstRequest(socket: Socket): Promise<FirstRequest | undefined> {
  const timer = setTimeout(() => socket.destroy(), HEAD_TIMEOUT_MS);
  try {
    let bytes: Buffer = Buffer.alloc(0);
    for (;;) {
      const more = await nextChunk(socket);
      if (more === undefined) return undefined;
      bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
      const verdict = isPreface(bytes);
      if (verdict === 'whole') return await http2Request(socket, bytes);
      if (verdict === 'part') continue;
      if (!looksLikeHttp(bytes)) return { kind: 'none', bytes, authority: '', method: '', headers: new Map() };
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) return parseHead(bytes, bytes.toString('latin1', 0, end));
      if (bytes.length > MAX_HEAD_BYTES) return undefined;
    }
  } finally {
    clearTimeout(timer);
  }
}

async function http2Request(socket: Socket, bytes: Buffer): Promise<FirstRequest | undefined> {
  const head = await readHttp2Head(socket, bytes, () => nextChunk(socket), MAX_HEAD_BYTES);
  if (head === undefined) return undefined;
  const { headers } = head;
  return {
    kind: 'http2',
    bytes: head.bytes,
    authority: headers.get(':authority') ?? headers.get('host') ?? '',
    method: headers.get(':method') ?? '',
    headers,
    respond: head.respond,
  };
}

/** Takes one piece and pauses again. @returns undefined at the end */
export function nextChunk(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const done = (chunk: Buffer | undefined): void => {
      socket.off('data', done);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      socket.pause();
      resolve(chunk);
    };
    const onEnd = (): void => done(undefined);
    if (socket.destroyed || socket.readableEnded) return resolve(undefined);
    socket.on('data', done);
    socket.once('end', onEnd);
    socket.once('close', onEnd);
    socket.resume();
  });
}

function looksLikeHttp(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, LONGEST_METHOD + 1);
  return /^[A-Z]+ /.test(start) || (/^[A-Z]+$/.test(start) && start.length <= LONGEST_METHOD);
}

/** RFC 9112; what a server could read in two ways is refused, as the guest's might read it in the other. */
function parseHead(bytes: Buffer, text: string): FirstRequest {
  const [line = '', ...fields] = text.split('\r\n');
  const [, method = '', target = ''] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(line) ?? [];
  const headers = new Map<string, string>();
  const hosts: string[] = [];
  let isBad = !target.startsWith('/') && target !== '*';
  for (const field of fields) {
    const [, name, value = ''] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(field) ?? [];
    if (name === undefined) isBad = true;
    else headers.set(name.toLowerCase(), value);
    if (name?.toLowerCase() === 'host') hosts.push(value);
  }
  if (hosts.length !== 1) isBad = true;
  return { kind: isBad ? 'bad' : 'http1', bytes, authority: hosts[0] ?? '', method, headers };
}
