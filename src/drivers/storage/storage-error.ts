import { BangerError } from '../../model/errors.ts';
import { messageOf } from '../../lib/message-of.ts';

/** How cp and qemu-img report the same two errors; programs run with LANG=C. */
const FULL_IN_WORDS = /No space left on device|Disk quota exceeded/;

/** Distinguishes a full disk from every other failure of a file operation, whether banger or a program met it. */
export function storageError(what: string, cause: unknown): BangerError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const reason = messageOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT' || FULL_IN_WORDS.test(reason)) {
    return new BangerError('NO_SPACE', `${what}: the disk is full`, { cause, remedy: 'free some space (df -h), then try again' });
  }
  return new BangerError('STORAGE_FAILED', `${what}: ${reason}`, { cause });
}
