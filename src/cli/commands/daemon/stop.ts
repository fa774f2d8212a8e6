import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { requireLocal } from '../../endpoint.ts';

export function declareCommand(cli: Cli) {
  return newCommand('stop', 'stop the daemon; virtual machines go on running', ['banger daemon stop']).action(async () => {
    requireLocal(cli, 'daemon stop');
    const { stopDaemon } = await import('../../daemon-process.ts');
    cli.print((await stopDaemon(cli)) ? 'stopped' : 'not running');
  });
}
