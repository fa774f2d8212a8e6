// Checks the owners of a path: a file in a place where others may write is not this user's just because of its name.
import { type Stats, lstatSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { shellWord } from './shell-word.ts';

/** A directory or socket that is unusable, with the remedy. */
export class PlaceProblem extends Error {
  override readonly name = 'PlaceProblem';
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

const STICKY = 0o1000;
/** The limit of links in a path (path_resolution(7)). */
const MAX_LINKS = 40;
/** The user that the kernel shows for a user without a number in this user namespace (user_namespaces(7)). */
const OVERFLOW_UID = 65_534;

/** @returns the user to whom file permissions apply */
export function ownUid(): number {
  return process.geteuid?.() ?? 0;
}

/** @returns root's number as seen from here: in a user namespace without root, root still owns `/` */
export function rootUids(): ReadonlySet<number> {
  return new Set(lstatSync('/').uid === OVERFLOW_UID ? [0, OVERFLOW_UID] : [0]);
}

/** @returns whether users other than the owner and root may put files there; a user's private group has no other members */
export function othersMayWrite({ mode, gid }: Pick<Stats, 'mode' | 'gid'>): boolean {
  const isOwnGroup = gid === 0 || (gid === process.getegid?.() && gid === ownUid());
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && !isOwnGroup);
}

/**
 * Follows a path by hand. Each directory and link on the way must belong to root or this user. Where others may write, they must not be
 * able to move files of others (sticky bit). Otherwise the path may lead wherever they like, at any moment.
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
 * @param path of a file that controls what happens in this user's name; may be missing
 * @throws PlaceProblem if users other than this one and root may write it, or put another file in its place
 */
export function refuseForeignFile(path: string): void {
  try {
    refuseForeignWay(path);
    const stat = statSync(path);
    // Writing to a device or a pipe does not change the file.
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
 * @throws PlaceProblem if it is not a directory, or belongs to another user
 */
export function refuseForeignDirectory(directory: string, stat: Stats): void {
  // Also for a link of another user: only they can remove it.
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
