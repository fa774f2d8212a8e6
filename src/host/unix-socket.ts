import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket, connect } from 'node:net';

/** open(2): names a file without opening it. Node has no name for it. */
const O_PATH = 0o10000000;

/**
 * Connects to the socket at `path` itself. A link there is refused, at whatever moment it is put there: who may write to the directory
 * would else choose to which socket this user speaks.
 * @returns like `connect` of node:net a socket that tells what goes wrong by `error`: ENOENT, ELOOP for a link, ENOTSOCK and the like
 */
export function connectUnix(path: string): Socket {
  let place: number;
  try {
    place = openSocketPlace(path);
  } catch (error) {
    // Unlike `destroy` at once, after the caller has had time to listen.
    return new Socket().destroy(error as Error);
  }
  // The kernel goes from here to the very file that was looked at.
  const socket = connect({ path: `/proc/self/fd/${place}` });
  closeSync(place);
  return socket;
}

function openSocketPlace(path: string): number {
  const place = openSync(path, O_PATH | constants.O_NOFOLLOW);
  if (fstatSync(place).isSocket()) return place;
  const code = fstatSync(place).isSymbolicLink() ? 'ELOOP' : 'ENOTSOCK';
  closeSync(place);
  throw Object.assign(new Error(`${path} is not a socket (${code})`), { code });
}
