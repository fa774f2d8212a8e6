// The ssh program on the user's terminal. Loaded only by `vm ssh`, because node:child_process costs time.
import { CommandFailure, runForeground } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';

/**
 * Runs ssh to its end.
 * @returns its status
 * @throws PREREQUISITE_MISSING when there is no ssh
 */
export async function runSsh(cli: Cli, argv: readonly string[]): Promise<number> {
  try {
    return await runForeground(argv, cli.env);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw new BangerError('PREREQUISITE_MISSING', error.message, { remedy: 'sudo apt-get install openssh-client', cause: error });
  }
}
