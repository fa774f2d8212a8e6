import { dialStdio } from '../../../client/dial-stdio.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';

export function declareCommand(cli: Cli) {
  return newCommand(
    'dial-stdio',
    "connect stdin and stdout with the socket of this machine's daemon, which is started when it does not run",
    ['banger internal dial-stdio', 'ssh user@host banger internal dial-stdio'],
  ).action(() => dialStdio(cli, cli));
}
