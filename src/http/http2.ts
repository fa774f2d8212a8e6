// An HTTP/2 connection with prior knowledge (RFC 9113 §3.3). Names are compressed per connection, so streams are taken out of the client's
// connection and put into one to the guest. Each must have the name of the first stream.
import {
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  connect as connectHttp2,
  constants,
  performServerHandshake,
} from 'node:http2';
import { type Socket, connect } from 'node:net';
import { hostOf } from './authority.ts';
import { PAGES, type Page, renderPage } from './pages.ts';
import { type FrontView, type Route, routeOf } from './routing.ts';
import { moveStream } from './http2-stream.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** The window of a stream and of the connection: how much may be in transit before the other side has confirmed that it read. */
const WINDOW_BYTES = 1024 ** 2;
const OPTIONS = { settings: { maxHeaderListSize: 64 * 1024, initialWindowSize: WINDOW_BYTES, enablePush: false }, maxSessionMemory: 64 };

/** @returns whether the bytes begin an HTTP/2 connection */
export function beginsHttp2(bytes: Buffer): 'whole' | 'part' | 'no' {
  const length = Math.min(bytes.length, PREFACE.length);
  if (Buffer.compare(bytes.subarray(0, length), PREFACE.subarray(0, length)) !== 0) return 'no';
  return length === PREFACE.length ? 'whole' : 'part';
}

type Connection = { client: Socket; view: FrontView; host?: string; guest?: Promise<ClientHttp2Session | Page> };

/** @param first the bytes that were read from the connection already, with the preface */
export function serveHttp2(client: Socket, first: Buffer, view: FrontView): void {
  const connection: Connection = { client, view };
  client.once('close', () => {
    void connection.guest?.then((guest) => ('destroy' in guest ? guest.destroy() : undefined));
  });
  client.unshift(first);
  const session = performServerHandshake(client, OPTIONS);
  session.on('error', () => client.destroy());
  session.setLocalWindowSize(WINDOW_BYTES * 4);
  session.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    serveStream(connection, stream, headers).catch(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  });
}

async function serveStream(connection: Connection, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
  const authority = headers[':authority'] ?? headers.host ?? '';
  const host = hostOf(authority);
  // A guest that reads Host must not see another name than the one that was checked here.
  if (host === undefined || headers[':method'] === 'CONNECT' || (headers.host !== undefined && hostOf(headers.host) !== host))
    return answer(stream, headers, PAGES.bad());
  connection.host ??= host;
  if (host !== connection.host) return answer(stream, headers, PAGES.misdirected());
  const guest = await (connection.guest ??= guestOf(connection, { ...headers, ':authority': authority }));
  if (stream.destroyed) return;
  if (!('destroy' in guest)) answer(stream, headers, guest);
  else if (guest.destroyed || guest.closed) stream.close(constants.NGHTTP2_REFUSED_STREAM);
  else moveStream(stream, headers, guest);
}

/** @returns a session with the guest of the first stream, or the page to send instead */
async function guestOf(connection: Connection, headers: IncomingHttpHeaders): Promise<ClientHttp2Session | Page> {
  const { client, view } = connection;
  const fields = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
  const asked = { authority: headers[':authority'] ?? '', method: headers[':method'] ?? '', headers: new Map(fields) };
  const route = await routeOf(asked, client.localAddress ?? '', view);
  const result = 'page' in route ? route.page : ((await sessionWith(route)) ?? PAGES.closed(route.vm, route.guestPort));
  if (!('destroy' in result)) {
    // The next stream may find the guest ready.
    delete connection.guest;
    return result;
  }
  if (client.destroyed) result.destroy();
  result.once('close', () => client.end());
  return result;
}

/** @returns undefined if nothing speaks HTTP/2 there */
function sessionWith({ address, port }: Route): Promise<ClientHttp2Session | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, noDelay: true });
    const session = connectHttp2(`http://${address}:${port}`, { ...OPTIONS, createConnection: () => socket });
    session.on('error', () => resolve(undefined));
    session.once('close', () => resolve(undefined));
    session.once('remoteSettings', () => {
      session.setLocalWindowSize(WINDOW_BYTES * 4);
      resolve(session);
    });
  });
}

function answer(stream: ServerHttp2Stream, request: IncomingHttpHeaders, page: Page): void {
  if (stream.destroyed) return;
  const { status, headers, body } = renderPage(page, request.accept ?? '');
  const all: OutgoingHttpHeaders = { ':status': status, ...headers };
  stream.respond(all, { endStream: request[':method'] === 'HEAD' });
  if (request[':method'] !== 'HEAD') stream.end(body);
  stream.resume();
}
