import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { requireLocal } from '../../require-local.ts';
import { askToEnd } from '../../ask-to-end.ts';

export function declareCommand(cli: Cli) {
  return newCommand('stop', 'stop the daemon; virtual machines keep running', ['banger daemon stop', 'banger daemon stop --yes'])
    .option('-y, --yes', 'even if this ends open sessions')
    .option('-f, --force', 'the same as --yes')
    .action(async (flags) => {
      requireLocal(cli, 'daemon stop');
      if (flags.yes !== true && flags.force !== true) await askToEnd(cli, 'stop');
      const { stopDaemon } = await import('../../../client/daemon-process.ts');
      cli.print((await stopDaemon(cli)) ? 'stopped' : 'not running');
    });
}
