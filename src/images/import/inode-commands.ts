// What mke2fs 1.47.0 ignores in the tree, and debugfs sets afterwards: times beyond 32 bits, their fractions, and the attributes of the
// root directory.
import type { TarEntry } from '../../lib/tar-entry.ts';
import { refusal, shown } from './problem.ts';

const LEAST_SECONDS = -(2 ** 31);
/** The first second of 2038-01-19 that does not fit into 32 bits. */
const FIRST_LATE = 2 ** 31;
/** Two bits count how often 32 bits have overflowed (ext4 documentation, "Inode Timestamps"): until 2446-05-10. */
const MOST_SECONDS = 2 ** 31 + 3 * 2 ** 32 - 1;
const DIRECTORY = 0o040000;
/** For a home that the image lacks. */
const OWN_HOME = 0o700;

type Nodes = ReadonlyMap<string, { type: string; entry: TarEntry }>;

const secondsOf = (entry: TarEntry): number => Math.floor(entry.modifiedMs / 1000);

/** @throws INVALID_INPUT if ext4 cannot store such a time */
export function checkTime(path: string, entry: TarEntry): void {
  const seconds = secondsOf(entry);
  if (seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return;
  throw refusal(`the time of ${shown(path)} is ${seconds} s from 1970 on, and ext4 stores 1901 to 2446`, 'change its time: touch FILE');
}

/**
 * @param nodes by path
 * @param below directory whose tree is in the file system, '' for everything
 * @returns commands of debugfs(8), one per line
 */
export function inodeCommands(nodes: Nodes, below: string): string {
  const lines = firstDirectoryCommands(nodes.get(below));
  const done = new Set<{ entry: TarEntry }>();
  for (const [path, node] of nodes) {
    const extra = extraOf(node.entry);
    const isInside = path !== below && (below === '' || path.startsWith(`${below}/`));
    if (extra === 0 || !isInside || done.has(node)) continue;
    const seconds = secondsOf(node.entry);
    // A command is one line. A fraction of a second is not worth refusing the whole image.
    if (/[\n\r]/.test(path) && seconds < FIRST_LATE) continue;
    if (/[\n\r]/.test(path))
      throw refusal(`the time of ${shown(path)} cannot be stored, because of a line break in the name`, 'change one of them');
    const inside = path.slice(below.length).replace(/^\/?/, '/');
    lines.push(`sif "${inside.replaceAll('"', '""')}" mtime_extra ${extra}`);
    done.add(node);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function firstDirectoryCommands(node: { type: string; entry: TarEntry } | undefined): string[] {
  if (node?.type !== 'directory') return [`sif / mode 0${(DIRECTORY | OWN_HOME).toString(8)}`];
  const { mode, uid = 0, gid = 0 } = node.entry;
  return [
    `sif / mode 0${(DIRECTORY | mode).toString(8)}`,
    `sif / uid ${uid}`,
    `sif / gid ${gid}`,
    // debugfs 1.47.0 accepts no sign, and the next write clears what it makes of the highest bit.
    `sif / mtime @${secondsOf(node.entry) >>> 0}`,
    `sif / mtime_extra ${extraOf(node.entry)}`,
  ];
}

/** @returns the value that ext4 stores beside the 32 bits: the number of overflows, and nanoseconds from the third bit on */
function extraOf(entry: TarEntry): number {
  const seconds = secondsOf(entry);
  const epoch = seconds < FIRST_LATE ? 0 : Math.floor((seconds - FIRST_LATE) / 2 ** 32) + 1;
  return epoch + (entry.modifiedNs ?? 0) * 4;
}
