import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { loadContexts, saveContexts } from '../../../client/context-file.ts';
import { endpointName, endpointOf } from '../../../client/endpoint.ts';

export function declareCommand(cli: Cli) {
  return newCommand('use', 'send later commands to the daemon of a context', ['banger context use lab', 'banger context use local'])
    .argument('<context>', 'a context, or `local` for this machine')
    .action(async (name) => {
      const contexts = loadContexts(cli);
      const endpoint = endpointOf(contexts, name);
      await saveContexts(cli, { ...contexts, current: name });
      cli.note(`commands go to ${endpointName(endpoint)}`);
      if (cli.env['BANGER_HOST']) cli.note(`but BANGER_HOST is set and wins: ${cli.env['BANGER_HOST']}`);
    });
}
