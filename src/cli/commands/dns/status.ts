import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { printOne, showing } from '../../output.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('status', 'show whether names under .vm are served; ends with 1 when not', ['banger dns status']);
  return showing(command, 'the address of the server only').action(async (flags) => {
    const { dns } = await cli.api().daemon();
    if (!dns.listening) cli.exitCode = 1;
    await printOne(cli, flags, dns, {
      name: ({ address }) => address,
      facts: ({ address, listening, problem }) => [
        ['address', address],
        ['listening', listening ? 'yes' : 'no'],
        ['problem', problem],
      ],
    });
  });
}
