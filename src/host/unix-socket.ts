import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket, connect } from 'node:net';

/** open(2): names a file without opening it. Node has no constant for it. */
const O_PATH = 0o10000000;

/**
 * Connects to the socket at `path` itself. A link there is refused, even one that appears during the call: otherwise users who may write to
 * the directory would choose the socket to which this user talks. A socket of another user is refused, too.
 * @param otherUid a user besides this one to whom it may belong
 * @returns a socket like `connect` of node:net, which reports failures by `error`: ENOENT, ELOOP for a link, EPERM for a socket of another
 * user, ENOTSOCK and the like
 */
export function connectUnix(path: string, otherUid?: number): Socket {
  let place: number;
  try {
    place = openSocketPlace(path, [process.geteuid?.(), otherUid]);
  } catch (error) {
    // `destroy` reports the error in a later tick, when the caller has added its listener.
    return new Socket().destroy(error as Error);
  }
  // Through this path the kernel opens exactly the file that was checked.
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
