// mke2fs 1.47.0 writes times with 32 bits. ext4 has two more, which debugfs sets afterwards.
import type { TarEntry } from '../../lib/tar-entry.ts';
import { refusal, shown } from './problem.ts';

const LEAST_SECONDS = -(2 ** 31);
/** The first second of 2038-01-19 that does not fit into 32 bits. */
const FIRST_LATE = 2 ** 31;
/** Two bits count how often 32 bits have run over (ext4 documentation, "Inode Timestamps"): until 2446-05-10. */
const MOST_SECONDS = 2 ** 31 + 3 * 2 ** 32 - 1;

const secondsOf = (entry: TarEntry): number => Math.floor(entry.modifiedMs / 1000);

/** @throws INVALID_INPUT when ext4 has no such time */
export function checkTime(path: string, entry: TarEntry): void {
  const seconds = secondsOf(entry);
  if (seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return;
  throw refusal(`the time of ${shown(path)} is ${seconds} s from 1970 on, and ext4 keeps 1901 to 2446`, 'change its time: touch FILE');
}

/**
 * @param nodes by path
 * @param below directory whose tree the file system holds, '' for all of it
 * @returns commands of debugfs(8), one a line, none where no time is late
 */
export function lateTimeCommands(nodes: ReadonlyMap<string, { entry: TarEntry }>, below: string): string {
  const lines: string[] = [];
  for (const [path, { entry }] of nodes) {
    const seconds = secondsOf(entry);
    const isInside = below === '' || path === below || path.startsWith(`${below}/`);
    if (seconds < FIRST_LATE || !isInside) continue;
    if (/[\n\r]/.test(path)) throw refusal(`the time of ${shown(path)} cannot be kept beside such a name`, 'change one of them');
    const inside = path.slice(below.length).replace(/^\/?/, '/');
    lines.push(`sif "${inside.replaceAll('"', '""')}" mtime_extra ${Math.floor((seconds - FIRST_LATE) / 2 ** 32) + 1}\n`);
  }
  return lines.join('');
}
