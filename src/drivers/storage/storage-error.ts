import { BangerError } from '../../model/errors.ts';

/** Tells a full disk from every other failure of a file operation. */
export function storageError(what: string, cause: unknown): BangerError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BangerError('NO_SPACE', `${what}: the disk is full`, { cause, remedy: 'free some space (df -h), then try again' });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BangerError('STORAGE_FAILED', `${what}: ${reason}`, { cause });
}
