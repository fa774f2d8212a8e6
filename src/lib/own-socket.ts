// The only way to connect to a Unix socket: it connects to exactly the file that it checked, and sends nothing to another user's socket.
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { Socket, connect } from 'node:net';
import { basename, dirname } from 'node:path';
import { othersMayWrite, ownUid, PlaceProblem, refuseForeignDirectory, refuseForeignWay, rootUids } from './own-place.ts';
import { shellWord } from './shell-word.ts';

/** open(2): names a file without opening it. Node has no constant for it. */
const O_PATH = 0o10000000;

/**
 * Connects to a socket of this user, in a directory of this user that is closed to others.
 * @param path absolute
 * @returns a socket like `connect` of node:net, which reports failures by `error`: ENOENT, ECONNREFUSED, or PlaceProblem if it belongs to
 * another user, is a link, or lies where others may put files
 */
export function connectOwnSocket(path: string): Socket {
  return connectTo(path, refuseForeignDirectory, (socket, directory) => {
    // Not earlier: if nothing listens yet, a daemon that starts closes its directory.
    if ((directory.mode & 0o077) !== 0)
      throw new PlaceProblem(`${dirname(path)} is open to others`, `chmod 700 ${shellWord(dirname(path))}`);
    if (socket.uid === ownUid()) return;
    throw new PlaceProblem(`${path} belongs to uid ${socket.uid}, not to you (uid ${ownUid()})`, `rm ${shellWord(path)}`);
  });
}

/** Connects to a socket of root, where only root may put files: the counterpart of `connectOwnSocket` for services of the system. */
export function connectRootSocket(path: string): Socket {
  const roots = rootUids();
  const refuse = (what: string, { uid }: Stats): void => {
    if (roots.has(uid)) return;
    throw new PlaceProblem(`${what} belongs to uid ${uid}, not to root`, 'find out which program made it, and remove it');
  };
  return connectTo(
    path,
    (directory, stat) => {
      refuse(directory, stat);
      if (othersMayWrite(stat))
        throw new PlaceProblem(`others than root may write to ${directory}`, `sudo chmod go-w ${shellWord(directory)}`);
    },
    (socket) => refuse(path, socket),
  );
}

function connectTo(
  path: string,
  judgeDirectory: (directory: string, stat: Stats) => void,
  judgeSocket: (socket: Stats, directory: Stats) => void,
): Socket {
  const held: number[] = [];
  const hold = (place: string): [place: string, stat: Stats] => {
    const descriptor = openSync(place, O_PATH | constants.O_NOFOLLOW);
    held.push(descriptor);
    return [`/proc/self/fd/${descriptor}`, fstatSync(descriptor)];
  };
  try {
    const directory = dirname(path);
    refuseForeignWay(dirname(directory));
    const [heldDirectory, directoryStat] = hold(directory);
    judgeDirectory(directory, directoryStat);
    const [heldSocket, socketStat] = hold(`${heldDirectory}/${basename(path)}`);
    if (!socketStat.isSocket()) {
      throw new PlaceProblem(`${path} is ${socketStat.isSymbolicLink() ? 'a link' : 'not a socket'}`, `rm ${shellWord(path)}`);
    }
    judgeSocket(socketStat, directoryStat);
    return connect({ path: heldSocket });
  } catch (error) {
    // `destroy` reports the error in a later tick, when the caller has added its listener.
    return new Socket().destroy(error as Error);
  } finally {
    // connect(2) was called already: the kernel used exactly this file.
    for (const descriptor of held) closeSync(descriptor);
  }
}
