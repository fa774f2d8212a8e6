import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { loadContexts } from '../../../client/context-file.ts';
import { endpointName, endpointOf } from '../../../client/endpoint.ts';
import { printOne, showing } from '../../output.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('show', 'show a context (default: the one in use)', [
    'banger context show',
    'banger context show lab -o json',
  ]).argument('[context]', 'a context (default: the one in use)');
  return showing(command).action(async (name, flags) => {
    const contexts = loadContexts(cli);
    const isCurrent = name === undefined;
    const endpoint = isCurrent ? cli.endpoint() : endpointOf(contexts, name);
    const shown = isCurrent && cli.env['BANGER_HOST'] ? null : (name ?? (cli.env['BANGER_CONTEXT'] || contexts.current));
    const value = { name: shown, host: endpointName(endpoint), program: endpoint.kind === 'ssh' ? endpoint.program : null };
    await printOne(cli, flags, value, {
      name: (context) => context.name ?? context.host,
      facts: (context) => [
        ['context', context.name ?? 'none: BANGER_HOST is set'],
        ['host', context.host],
        ['program', context.program],
      ],
    });
  });
}
