import { quoteName } from '../../lib/byte-names.ts';
import { BangerError } from '../../model/errors.ts';

/** The input is no image, or a refused one. @param remedy default: what can be imported */
export function refusal(reason: string, remedy = 'give a root file system as tar, an OCI layout, or what docker save wrote'): BangerError {
  return new BangerError('INVALID_INPUT', `the image cannot be imported: ${reason}`, { remedy, details: { reason } });
}

/** @param code errno name of the failure to open or find it */
export function unreadable(path: string, code: string | undefined): BangerError {
  return refusal(`${path} cannot be read (${code})`, `ls -l ${path}`);
}

/** A name from a stranger, for people: shortened, and without terminal control characters. */
export function shown(path: string): string {
  return quoteName(path.length > 120 ? `${path.slice(0, 117)}...` : path);
}
