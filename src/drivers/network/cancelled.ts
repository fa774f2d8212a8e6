import { BangerError } from '../../model/errors.ts';

/** @param cause why the caller no longer waits */
export function cancelled(cause: unknown): BangerError {
  return new BangerError('CANCELLED', 'setting up the network was cancelled', { cause });
}

/** @throws CANCELLED */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled(signal.reason);
}
