import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';

export function declareCommand(cli: Cli) {
  return newCommand('stop', 'stop the daemon; virtual machines go on running', ['banger daemon stop']).action(async () => {
    const { stopDaemon } = await import('../../daemon-process.ts');
    cli.print((await stopDaemon(cli)) ? 'stopped' : 'not running');
  });
}
