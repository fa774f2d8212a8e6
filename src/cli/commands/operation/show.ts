import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { renderFacts } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('show', 'show an operation', ['banger operation show 3f2a91c0'])
    .argument('<id>', 'id of the operation')
    .addOption(outputOption())
    .action(async (id, flags) => {
      const found = await cli.api().operation(id);
      if (flags.output === 'json') return cli.print(JSON.stringify(found, null, 2));
      const facts: [string, string | null | undefined][] = [
        ['id', found.id],
        ['verb', found.verb],
        ['vm', found.vmName ?? found.vmId],
        ['state', found.state],
        ['started', found.createdAt],
        ['ended', found.endedAt],
        ['error', found.error?.message],
        ['try', found.error?.remedy],
        ['log', found.error?.logPath],
      ];
      for (const line of renderFacts(facts)) cli.print(line);
    });
}
