// Whose is a place of the file system? What lies where others may put something is not ours because it has our name.
import { type Stats, lstatSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { shellWord } from './shell-word.ts';

/** A directory or socket that cannot be used, with what mends it. */
export class PlaceProblem extends Error {
  override readonly name = 'PlaceProblem';
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

const STICKY = 0o1000;
/** How many links a path may have (path_resolution(7)). */
const MAX_LINKS = 40;
/** What the kernel shows for a user that has no number in this user namespace (user_namespaces(7)). */
const OVERFLOW_UID = 65_534;

/** @returns the user whom permissions of files are about */
export function ownUid(): number {
  return process.geteuid?.() ?? 0;
}

/** @returns how root is seen from here: in a user namespace without root it owns `/` all the same */
export function rootUids(): ReadonlySet<number> {
  return new Set(lstatSync('/').uid === OVERFLOW_UID ? [0, OVERFLOW_UID] : [0]);
}

/** @returns whether users other than the owner and root may put something there; a group of the user's own has nobody else in it */
export function othersMayWrite({ mode, gid }: Pick<Stats, 'mode' | 'gid'>): boolean {
  const isOwnGroup = gid === 0 || (gid === process.getegid?.() && gid === ownUid());
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && !isOwnGroup);
}

/**
 * Walks to a place by hand: each directory and link on the way must be root's or this user's, and where others may write they must not
 * be able to move what is not theirs (sticky). Else the path leads wherever they like, at any moment.
 * @param path absolute
 * @throws PlaceProblem, ENOENT and the like
 */
export function refuseForeignWay(path: string): void {
  const trusted = new Set([...rootUids(), ownUid()]);
  const ahead = partsOf(path);
  let here = '/';
  let links = 0;
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    const next = name === '..' ? dirname(here) : `${here === '/' ? '' : here}/${name}`;
    const stat = lstatSync(next);
    if (!trusted.has(stat.uid)) {
      throw new PlaceProblem(`${path} is not safe: ${next} belongs to uid ${stat.uid}, who may put anything there`, elsewhere(path));
    }
    if (!stat.isSymbolicLink()) {
      refuseOpen(path, next, stat);
      here = next;
      continue;
    }
    if (++links > MAX_LINKS) throw Object.assign(new Error(`${path} has too many links`), { code: 'ELOOP' });
    const target = readlinkSync(next);
    if (target.startsWith('/')) here = '/';
    ahead.unshift(...partsOf(target));
  }
}

/**
 * @param path of a file that says what is done in this user's name; need not exist
 * @throws PlaceProblem when others than this user and root may write it, or put another one in its place
 */
export function refuseForeignFile(path: string): void {
  try {
    refuseForeignWay(path);
    const stat = statSync(path);
    // Whoever writes to a device or a pipe changes nothing that lies there.
    if (!stat.isFile() || !othersMayWrite(stat)) return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return;
    throw error;
  }
  throw new PlaceProblem(`${path} is not safe: others may write it`, `chmod go-w ${shellWord(path)}`);
}

function refuseOpen(path: string, directory: string, stat: Stats): void {
  if (!stat.isDirectory() || (stat.mode & STICKY) !== 0 || !othersMayWrite(stat)) return;
  throw new PlaceProblem(`${path} is not safe: others may move what is in ${directory}`, `chmod go-w ${shellWord(directory)}`);
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/**
 * @param stat of the directory itself, not of what a link leads to
 * @throws PlaceProblem when it is not a directory, or somebody else's
 */
export function refuseForeignDirectory(directory: string, stat: Stats): void {
  // Of somebody else's link, too: it is theirs to remove.
  if (stat.uid !== ownUid()) {
    throw new PlaceProblem(
      `${directory} belongs to uid ${stat.uid}, not to you (uid ${ownUid()})`,
      'set BANGER_RUNTIME_DIR to a directory of your own',
    );
  }
  if (stat.isDirectory()) return;
  throw new PlaceProblem(`${directory} is ${stat.isSymbolicLink() ? 'a link' : 'not a directory'}`, `rm ${shellWord(directory)}`);
}

function elsewhere(path: string): string {
  return `choose another place than ${path}, in a directory of your own`;
}
