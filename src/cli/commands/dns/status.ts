import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { renderFacts } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('status', 'show whether names under .vm are served; ends with 1 when not', ['banger dns status'])
    .addOption(outputOption())
    .action(async (flags) => {
      const { dns } = await cli.api().daemon();
      if (!dns.listening) cli.exitCode = 1;
      if (flags.output === 'json') return cli.print(JSON.stringify(dns, null, 2));
      const facts: [string, string | null][] = [
        ['address', dns.address],
        ['listening', dns.listening ? 'yes' : 'no'],
        ['problem', dns.problem],
      ];
      for (const line of renderFacts(facts)) cli.print(line);
    });
}
