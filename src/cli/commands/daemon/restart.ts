import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { requireLocal } from '../../require-local.ts';
import { askToEnd } from '../../ask-to-end.ts';

export function declareCommand(cli: Cli) {
  return newCommand('restart', 'restart the daemon; virtual machines keep running', [
    'banger daemon restart',
    'banger daemon restart --yes',
  ])
    .option('-y, --yes', 'even if this ends open sessions')
    .option('-f, --force', 'the same as --yes')
    .action(async (flags) => {
      requireLocal(cli, 'daemon restart');
      if (flags.yes !== true && flags.force !== true) await askToEnd(cli, 'restart');
      const { restartDaemon } = await import('../../../client/daemon-process.ts');
      await restartDaemon(cli);
      const { pid, socketPath } = await cli.runningApi().daemon();
      cli.print(`running, pid ${pid}, ${socketPath}`);
    });
}
