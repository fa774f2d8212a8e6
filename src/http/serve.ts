// One connection of the HTTP front: detects its protocol, and passes it to the code for that protocol.
import { type Socket, connect } from 'node:net';
import { serveHttp1 } from './http1.ts';
import { beginsHttp2, serveHttp2 } from './http2.ts';
import { type FrontView, routeOfBytes } from './routing.ts';

const FIRST_BYTES_TIMEOUT_MS = 15_000;
const LONGEST_METHOD = 20;

/** Serves a connection that was accepted on loopback and has not been read from. */
export async function serveConnection(client: Socket, view: FrontView): Promise<void> {
  client.on('error', () => client.destroy());
  client.setNoDelay(true);
  const timer = setTimeout(() => client.destroy(), FIRST_BYTES_TIMEOUT_MS);
  let first: Buffer = Buffer.alloc(0);
  let kind: Kind | undefined;
  while (kind === undefined) {
    const more = await nextChunk(client);
    if (more === undefined) break;
    first = first.length === 0 ? more : Buffer.concat([first, more]);
    kind = kindOf(first);
  }
  clearTimeout(timer);
  if (kind === 'http1') serveHttp1(client, first, view);
  else if (kind === 'http2') serveHttp2(client, first, view);
  else if (kind === 'bytes') joinBytes(client, first, view);
  else client.destroy();
}

type Kind = 'http1' | 'http2' | 'bytes';

/** @returns undefined if more data is needed */
function kindOf(bytes: Buffer): Kind | undefined {
  const isHttp2 = beginsHttp2(bytes);
  if (isHttp2 !== 'no') return isHttp2 === 'whole' ? 'http2' : undefined;
  // RFC 9112 §2.2: empty lines before a request are not part of it.
  const start = bytes.toString('latin1', 0, LONGEST_METHOD * 2).replace(/^[\r\n]+/, '');
  if (start === '' && bytes.length < LONGEST_METHOD) return undefined;
  if (/^[A-Z][^\s]* /.test(start)) return 'http1';
  return /^[A-Z][A-Z-]*$/.test(start) && start.length <= LONGEST_METHOD ? undefined : 'bytes';
}

/** Reads one piece and pauses again. @returns undefined at the end */
function nextChunk(socket: Socket): Promise<Buffer | undefined> {
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

/** Data that is not HTTP on port 80 of a VM's address is meant for port 80 of the guest; the end of each side is passed to the other. */
function joinBytes(client: Socket, first: Buffer, view: FrontView): void {
  const route = routeOfBytes(client.localAddress ?? '', view);
  if (route === undefined) return void client.destroy();
  const guest = connect({ host: route.address, port: route.port, allowHalfOpen: true, noDelay: true });
  guest.once('error', () => client.resetAndDestroy());
  client.once('close', () => guest.destroy());
  guest.once('close', () => {
    if (client.writableEnded && client.readableEnded) client.destroy();
  });
  guest.write(first);
  client.pipe(guest);
  guest.pipe(client);
}
