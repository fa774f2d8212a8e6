import { type Duplex, duplexPair, PassThrough } from 'node:stream';
import { runSession } from './exec-session.ts';

/**
 * @param socket the raw stream of a tunnel after the upgrade
 * @returns the bytes of the tunnel; it ends with the guest's side, and destroying it closes the connection in the guest
 */
export function tunnelStream(socket: Duplex): Duplex {
  const [near, far] = duplexPair();
  near.once('close', () => socket.destroy());
  runSession(socket, { input: far, output: far, errors: new PassThrough().resume(), endsAtEof: true }).then(
    () => far.end(),
    (error: Error) => near.destroy(error),
  );
  return near;
}
