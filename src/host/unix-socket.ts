import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket, connect } from 'node:net';

/** open(2): names a file without opening it. Node has no name for it. */
const O_PATH = 0o10000000;

/**
 * Connects to the socket at `path` itself. A link there is refused, at whatever moment it is put there: who may write to the directory
 * would else choose to which socket this user speaks. One of another user is refused, too.
 * @param otherUid a user beside this one to whom it may belong
 * @returns like `connect` of node:net a socket that tells what goes wrong by `error`: ENOENT, ELOOP for a link, EPERM for a socket of
 *   somebody else's, ENOTSOCK and the like
 */
export function connectUnix(path: string, otherUid?: number): Socket {
  let place: number;
  try {
    place = openSocketPlace(path, [process.geteuid?.(), otherUid]);
  } catch (error) {
    // Unlike `destroy` at once, after the caller has had time to listen.
    return new Socket().destroy(error as Error);
  }
  // The kernel goes from here to the very file that was looked at.
  const socket = connect({ path: `/proc/self/fd/${place}` });
  closeSync(place);
  return socket;
}

function openSocketPlace(path: string, owners: readonly (number | undefined)[]): number {
  const place = openSync(path, O_PATH | constants.O_NOFOLLOW);
  const stat = fstatSync(place);
  if (stat.isSocket() && owners.includes(stat.uid)) return place;
  closeSync(place);
  if (stat.isSocket()) throw Object.assign(new Error(`${path} belongs to uid ${stat.uid} (EPERM)`), { code: 'EPERM' });
  const code = stat.isSymbolicLink() ? 'ELOOP' : 'ENOTSOCK';
  throw Object.assign(new Error(`${path} is not a socket (${code})`), { code });
}
