// The ssh program on the user's terminal. Loaded only by `vm ssh`, because node:child_process costs time.
import { CommandFailure, runForeground } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from '../cli/cli.ts';
import { windowOf } from './exec-session.ts';

/**
 * Runs ssh to its end.
 * @returns its status
 * @throws PREREQUISITE_MISSING when there is no ssh
 */
export async function runSsh(cli: Cli, argv: readonly string[]): Promise<number> {
  try {
    await settleWindow(cli);
    return await runForeground(argv, cli.env);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw new BangerError('PREREQUISITE_MISSING', error.message, { remedy: 'sudo apt-get install openssh-client', cause: error });
  }
}

/** Programs in the guest would draw on no columns at all; ssh passes on what its terminal says, and nobody has told that one. */
async function settleWindow(cli: Cli): Promise<void> {
  const { isTTY, rows, columns } = cli.stdout;
  if (cli.stdin.isTTY !== true || isTTY !== true || (rows !== 0 && columns !== 0)) return;
  const [lines, width] = windowOf(cli.stdout);
  // Without it things are as they were.
  await runForeground(['stty', 'rows', String(lines), 'cols', String(width)], cli.env).catch(() => undefined);
}
