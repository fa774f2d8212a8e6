import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { loadContexts, saveContexts } from '../../../client/context-file.ts';
import { endpointOf, LOCAL_CONTEXT } from '../../../client/endpoint.ts';
import { BangerError } from '../../../model/errors.ts';

export function declareCommand(cli: Cli) {
  return newCommand('remove', 'forget a context; nothing changes on the other machine', ['banger context remove lab'])
    .argument('<context>', 'a context')
    .action(async (name) => {
      const { current, contexts } = loadContexts(cli);
      if (name === LOCAL_CONTEXT) throw new BangerError('INVALID_INPUT', 'the context of this machine cannot be removed');
      endpointOf({ current, contexts }, name);
      const { [name]: _removed, ...rest } = contexts;
      await saveContexts(cli, { current: current === name ? LOCAL_CONTEXT : current, contexts: rest });
      if (current === name) cli.note('commands go to this machine again');
    });
}
