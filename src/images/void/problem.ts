import { BangerError } from '../../model/errors.ts';

/** Downloaded data that is wrong; nothing of it is used. */
export function distrust(reason: string, facts: { remedy?: string; cause?: unknown } = {}): BangerError {
  return new BangerError('DOWNLOAD_FAILED', `the Void repository cannot be used: ${reason}`, {
    remedy: facts.remedy ?? 'try another mirror (void.mirror in config.toml); nothing was changed',
    cause: facts.cause,
  });
}

/** @returns the error, with the thing's name if it was about the content of an archive */
export function ofRepository(error: unknown, what: string): unknown {
  if (!(error instanceof BangerError) || typeof error.details?.['reason'] !== 'string') return error;
  return distrust(`${what}: ${error.details['reason']}`, { cause: error });
}
