// The ids of the host that stand for the 65 536 ids of a confined program (user_namespaces(7), subuid(5)).
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { run } from './spawn.ts';
import { given } from '../lib/given.ts';

/** Where a daemon that is root takes ids for confined programs: above all ranges of distributions and containers. */
export const CONFINED_BASE = 0x7000_0000;
export const MAPPED_IDS = 65_536;

/** This user has no sufficient range of ids. */
export class NoIdRange extends Error {
  override readonly name = 'NoIdRange';
}

/**
 * Writes the id mapping of a namespace that waits for it. For root, they are otherwise unused ids. An ordinary user is root in the
 * namespace, and the range in /etc/subuid and /etc/subgid stands for the other ids.
 * @param pid a process of that namespace
 * @throws NoIdRange, CommandFailure
 */
export async function mapIds(pid: number, signal?: AbortSignal): Promise<void> {
  if (process.getuid?.() === 0) {
    for (const kind of ['uid', 'gid']) await writeFile(`/proc/${pid}/${kind}_map`, `0 ${CONFINED_BASE} ${MAPPED_IDS}`);
    return;
  }
  const { uid, gid } = userInfo();
  await mapRange('newuidmap', '/etc/subuid', pid, uid, signal);
  await mapRange('newgidmap', '/etc/subgid', pid, gid, signal);
}

async function mapRange(program: string, path: string, pid: number, ownId: number, signal?: AbortSignal): Promise<void> {
  const start = await rangeIn(path);
  if (start === undefined) throw new NoIdRange(`${userInfo().username} has no range of ${MAPPED_IDS} ids in ${path}`);
  const words = [pid, 0, ownId, 1, 1, start, MAPPED_IDS - 1].map(String);
  await run([program, ...words], { timeoutMs: 10_000, ...given({ signal }) });
}

/** @returns the first id of a range that is large enough */
async function rangeIn(path: string): Promise<number | undefined> {
  const { username, uid } = userInfo();
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [owner, start, count] = line.trim().split(':');
    if ((owner === username || owner === String(uid)) && Number(count) >= MAPPED_IDS - 1) return Number(start);
  }
  return undefined;
}
