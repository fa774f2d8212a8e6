import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { confirm } from '../../confirm.ts';
import { showStages } from '../../operations.ts';

export function declareCommand(cli: Cli) {
  return newCommand('prune', 'remove images of older bundles that no virtual machine uses', [
    'banger image prune',
    'banger image prune --all -f',
  ])
    .option('-a, --all', 'every unused image except the default one')
    .option('-f, --force', 'do not ask for confirmation (banger asks only on a terminal)')
    .option('-y, --yes', 'the same as --force')
    .action(async (flags) => {
      const what = flags.all === true ? 'every image that no VM uses' : 'images of older bundles';
      if (flags.force !== true && flags.yes !== true) await confirm(cli, [what], 'Remove', 'nothing was removed');
      const { id } = await cli.api().pruneImages(flags.all === true ? { all: true } : {});
      await showStages(cli, id, 'none');
      for await (const event of await cli.api().operationEvents(id)) {
        if (event.type === 'stage' && event.status === 'done') cli.print(event.title);
      }
    });
}
