import { BangerError } from '../../model/errors.ts';

/** What cp and qemu-img say of the same two errors; programs are run with LANG=C. */
const FULL_IN_WORDS = /No space left on device|Disk quota exceeded/;

/** Tells a full disk from every other failure of a file operation, whether it was met here or by a program. */
export function storageError(what: string, cause: unknown): BangerError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT' || FULL_IN_WORDS.test(reason)) {
    return new BangerError('NO_SPACE', `${what}: the disk is full`, { cause, remedy: 'free some space (df -h), then try again' });
  }
  return new BangerError('STORAGE_FAILED', `${what}: ${reason}`, { cause });
}
