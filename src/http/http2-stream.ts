// Moves one HTTP/2 stream from a client's connection to a guest's: headers, bodies as they come, trailers, and the end.
import { type ClientHttp2Session, type IncomingHttpHeaders, type ServerHttp2Stream, constants } from 'node:http2';

/** Headers about the connection, which HTTP/2 forbids (RFC 9113 §8.2.2). */
const OF_A_CONNECTION = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'host'];

/**
 * @param stream of the client, of which only the headers have been read
 * @throws if the client's headers must not be passed on
 */
export function moveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, session: ClientHttp2Session): void {
  const asked: IncomingHttpHeaders = { ...headers, ':authority': headers[':authority'] ?? headers.host };
  for (const name of OF_A_CONNECTION) delete asked[name];
  const guest = session.request(asked, { endStream: stream.endAfterHeaders, waitForTrailers: true });
  /** Node throws on headers that HTTP/2 forbids, which a guest may well send. */
  const passOn = (send: () => void): void => {
    try {
      if (!stream.destroyed) send();
    } catch {
      stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
    }
  };
  let trailersOfClient: IncomingHttpHeaders = {};
  let trailersOfGuest: IncomingHttpHeaders = {};
  stream.on('trailers', (trailers) => (trailersOfClient = trailers));
  guest.on('trailers', (trailers) => (trailersOfGuest = trailers));
  guest.on('wantTrailers', () => passOn(() => guest.sendTrailers(trailersOfClient)));
  stream.on('wantTrailers', () => passOn(() => stream.sendTrailers(trailersOfGuest)));

  guest.on('headers', (interim) =>
    passOn(() => {
      if (!stream.headersSent) stream.additionalHeaders(interim);
    }),
  );
  guest.once('response', (answer, flags) =>
    passOn(() => {
      const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answer, { endStream: isWhole, waitForTrailers: !isWhole });
      if (!isWhole) guest.pipe(stream);
      else guest.resume();
    }),
  );
  if (!stream.endAfterHeaders) stream.pipe(guest);
  else stream.resume();

  stream.once('close', () => guest.close(stream.rstCode));
  guest.once('close', () => {
    const isBroken = !stream.headersSent || guest.rstCode !== constants.NGHTTP2_NO_ERROR;
    if (!stream.destroyed && isBroken) stream.close(guest.rstCode || constants.NGHTTP2_INTERNAL_ERROR);
  });
  // The code of the close says it.
  guest.on('error', () => undefined);
}
