import { formatDuration } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { renderFacts } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('health', 'ask the agent in a virtual machine how it is; ends with 1 when it does not answer', ['banger vm health web'])
    .argument('<name>', 'name, id or beginning of an id')
    .addOption(outputOption())
    .action(async (name, flags) => {
      const found = await cli.api().health(name);
      if (flags.output === 'json') cli.print(JSON.stringify(found, null, 2));
      else {
        const uptime = found.uptimeMs === null ? null : formatDuration(found.uptimeMs);
        const facts: [string, string | null][] = [
          ['vm', found.vm],
          ['state', found.state],
          ['agent', found.agent],
          ['init', found.init],
          ['uptime', uptime],
        ];
        for (const line of renderFacts(facts)) cli.print(line);
      }
      if (found.agent !== 'ok') cli.exitCode = 1;
    });
}
