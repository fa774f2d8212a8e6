import type { Cli } from '../../cli.ts';
import type { Operation } from '../../../api/schemas.ts';
import { newCommand } from '../../command.ts';
import { type Facts, printOne, showing } from '../../output.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('show', 'show an operation', ['banger operation show 3f2a91c0']).argument('<id>', 'id or start of an id');
  return showing(command, 'the id only').action(async (id, flags) => {
    await printOne(cli, flags, await cli.api().operation(id), { name: (found) => found.id, facts: factsOf });
  });
}

function factsOf(found: Operation): Facts {
  return [
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
}
