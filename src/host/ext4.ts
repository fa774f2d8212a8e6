// ext4 file systems in files, through the tools of e2fsprogs: they are read and written as data, and never mounted. Guests wrote their
// content, so the tools are confined.
import { stat, truncate } from 'node:fs/promises';
import { runConfined } from './confined.ts';
import { confinedPath } from './confinement.ts';
import type { CommandOutcome } from './spawn.ts';
import { given } from '../lib/given.ts';

const MIB = 1024 ** 2;
const BLOCK_BYTES = 4096;
const TIMEOUT_MS = 10 * 60_000;
/** Room in the descriptor tables for growing to 1 TiB while mounted (mke2fs(8), `resize=`), in blocks. */
const MOST_BLOCKS = 268_435_456;

/**
 * Makes an empty file system of the file's whole length. It does not write blocks that a sparse file has anyway.
 * @param label at most 16 characters
 * @throws CommandFailure
 */
export async function makeExt4(path: string, label: string, signal?: AbortSignal): Promise<void> {
  const features = `lazy_itable_init=1,lazy_journal_init=1,resize=${MOST_BLOCKS}`;
  const argv = ['mke2fs', '-q', '-F', '-t', 'ext4', '-b', String(BLOCK_BYTES), '-m', '1', '-J', 'size=16', '-L', label, '-E', features];
  await runOn(path, argv, signal);
}

/**
 * Checks a file system that no machine uses, replays its journal, and makes all repairs that need no answer.
 * @throws CommandFailure if it stays damaged
 */
export async function checkExt4(path: string, signal?: AbortSignal): Promise<void> {
  // "File system errors corrected" (e2fsck(8), exit code 1) is success. Only e2fsck's own status means that: the programs around it may
  // also fail with 1.
  await runOn(path, ['sh', '-c', 'e2fsck -f -p "$1" || [ $? = 1 ]', 'e2fsck'], signal);
}

/**
 * Makes a checked file system, and its file, as small as its content allows.
 * @param spareBytes the space to leave free
 * @throws CommandFailure
 */
export async function shrinkExt4(path: string, spareBytes: number, signal?: AbortSignal): Promise<void> {
  const { stdout } = await runOn(path, ['resize2fs', '-P'], signal);
  const leastBlocks = Number(/: (\d+)\s*$/.exec(stdout)?.[1] ?? Number.NaN);
  const wantedMib = Math.ceil((leastBlocks * BLOCK_BYTES + spareBytes) / MIB);
  const { size } = await stat(path);
  if (Number.isNaN(wantedMib) || wantedMib * MIB >= size) return;
  await runOn(path, ['resize2fs'], signal, [`${wantedMib}M`]);
  await truncate(path, wantedMib * MIB);
}

/** @param argv without the file, which comes before `more` */
function runOn(
  path: string,
  argv: readonly string[],
  signal: AbortSignal | undefined,
  more: readonly string[] = [],
): Promise<CommandOutcome> {
  const options = { timeoutMs: TIMEOUT_MS, ...given({ signal }) };
  return runConfined([...argv, confinedPath(0), ...more], { files: [path] }, options);
}
