import { chmod } from 'node:fs/promises';
import { run } from './spawn.ts';
import { given } from '../lib/given.ts';

/**
 * Copies a file without its holes, readable by the owner alone; shares blocks if the file system can. GNU cp does both; it uses SEEK_HOLE,
 * which Node lacks.
 * @throws CommandFailure; a partial target may remain
 */
export async function sparseCopy(from: string, to: string, signal?: AbortSignal): Promise<void> {
  await run(['cp', '--sparse=always', '--reflink=auto', '--no-target-directory', '--', from, to], {
    timeoutMs: 30 * 60_000,
    ...given({ signal }),
  });
  await chmod(to, 0o600);
}
