import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';

export default function stop(cli: Cli) {
  return newCommand('stop', 'stop the daemon; virtual machines go on running', ['banger daemon stop']).action(async () => {
    const { stopDaemon } = await import('../../daemon-process.ts');
    cli.print((await stopDaemon(cli)) ? 'stopped' : 'not running');
  });
}
