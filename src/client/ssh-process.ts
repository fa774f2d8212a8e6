// The ssh program on the user's terminal. Loaded only by `vm ssh`, because loading node:child_process takes time.
import { CommandFailure, runForeground } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { Caller } from './caller.ts';

/** Rows and columns of a terminal. */
export type Window = readonly [rows: number, columns: number];

/**
 * Runs ssh until it ends.
 * @param window the size to set on the terminal, which programs in the guest use. Default: leave it
 * @returns its status
 * @throws PREREQUISITE_MISSING if there is no ssh
 */
export async function runSsh({ env }: Pick<Caller, 'env'>, argv: readonly string[], window?: Window): Promise<number> {
  try {
    // If it fails, the terminal stays as it was.
    if (window !== undefined) await runForeground(setWindow(window), env).catch(() => undefined);
    return await runForeground(argv, env);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw new BangerError('PREREQUISITE_MISSING', error.message, { remedy: 'sudo apt-get install openssh-client', cause: error });
  }
}

function setWindow([rows, columns]: Window): string[] {
  return ['stty', 'rows', String(rows), 'cols', String(columns)];
}
