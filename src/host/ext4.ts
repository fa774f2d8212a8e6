// ext4 file systems in files, by the tools of e2fsprogs: they are read and written as data, and never mounted.
import { stat, truncate } from 'node:fs/promises';
import { CommandFailure, run } from './spawn.ts';

const MIB = 1024 ** 2;
const BLOCK_BYTES = 4096;
const TIMEOUT_MS = 10 * 60_000;
/** Room in the descriptor tables for growing to 1 TiB while mounted (mke2fs(8), `resize=`), in blocks. */
const MOST_BLOCKS = 268_435_456;

/**
 * Makes an empty file system of the file's whole length. Nothing of it is written that a sparse file has anyway.
 * @param label at most 16 characters
 * @throws CommandFailure
 */
export async function makeExt4(path: string, label: string, signal?: AbortSignal): Promise<void> {
  const features = `lazy_itable_init=1,lazy_journal_init=1,resize=${MOST_BLOCKS}`;
  const argv = [
    'mke2fs',
    '-q',
    '-F',
    '-t',
    'ext4',
    '-b',
    String(BLOCK_BYTES),
    '-m',
    '1',
    '-J',
    'size=16',
    '-L',
    label,
    '-E',
    features,
    path,
  ];
  await run(argv, { timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
}

/**
 * Checks a file system that no machine uses, and replays its journal; what can be repaired without a question is.
 * @throws CommandFailure when it is damaged
 */
export async function checkExt4(path: string, signal?: AbortSignal): Promise<void> {
  try {
    await run(['e2fsck', '-f', '-p', path], { timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    // "File system errors corrected" (e2fsck(8), exit code 1).
    if (error instanceof CommandFailure && error.outcome.exitCode === 1) return;
    throw error;
  }
}

/**
 * Makes a checked file system, and its file, as small as what is in it allows.
 * @param spareBytes are left free
 * @throws CommandFailure
 */
export async function shrinkExt4(path: string, spareBytes: number, signal?: AbortSignal): Promise<void> {
  const options = { timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
  const { stdout } = await run(['resize2fs', '-P', path], options);
  const leastBlocks = Number(/: (\d+)\s*$/.exec(stdout)?.[1] ?? Number.NaN);
  const wantedMib = Math.ceil((leastBlocks * BLOCK_BYTES + spareBytes) / MIB);
  const { size } = await stat(path);
  if (Number.isNaN(wantedMib) || wantedMib * MIB >= size) return;
  await run(['resize2fs', path, `${wantedMib}M`], options);
  await truncate(path, wantedMib * MIB);
}
