// The one way to a Unix socket: what is connected to is the very file that was looked at, and not one byte goes to anybody else's.
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { Socket, connect } from 'node:net';
import { basename, dirname } from 'node:path';
import { othersMayWrite, ownUid, PlaceProblem, refuseForeignDirectory, refuseForeignWay, rootUids } from './own-place.ts';
import { shellWord } from './shell-word.ts';

/** open(2): names a file without opening it. Node has no name for it. */
const O_PATH = 0o10000000;

/**
 * Connects to a socket of this user's, in a directory of this user's that is closed to others.
 * @param path absolute
 * @returns like `connect` of node:net a socket that tells by `error` what goes wrong: ENOENT, ECONNREFUSED, or PlaceProblem when it is
 * somebody else's, a link, or lies where others may put one
 */
export function connectOwnSocket(path: string): Socket {
  return connectTo(path, refuseForeignDirectory, (socket, directory) => {
    // Only now: where nothing listens yet, a daemon that starts closes its directory.
    if ((directory.mode & 0o077) !== 0)
      throw new PlaceProblem(`${dirname(path)} is open to others`, `chmod 700 ${shellWord(dirname(path))}`);
    if (socket.uid === ownUid()) return;
    throw new PlaceProblem(`${path} belongs to uid ${socket.uid}, not to you (uid ${ownUid()})`, `rm ${shellWord(path)}`);
  });
}

/** Connects to a socket of root's, where nobody but root may put one: what `connectOwnSocket` is for services of the system. */
export function connectRootSocket(path: string): Socket {
  const roots = rootUids();
  const refuse = (what: string, { uid }: Stats): void => {
    if (roots.has(uid)) return;
    throw new PlaceProblem(`${what} belongs to uid ${uid}, not to root`, 'find out who made it, and remove it');
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
    // Unlike `destroy` at once, after the caller has had time to listen.
    return new Socket().destroy(error as Error);
  } finally {
    // connect(2) has been called by now: the kernel went to the file itself.
    for (const descriptor of held) closeSync(descriptor);
  }
}
