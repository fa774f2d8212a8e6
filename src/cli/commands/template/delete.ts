import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showStages } from '../../operations.ts';
import { reportInOrder } from '../../targets.ts';

export function declareCommand(cli: Cli) {
  return newCommand('delete', 'delete templates; virtual machines that were made from them stay', [
    'banger template delete 3f9c',
    'banger template delete --all',
  ])
    .argument('[template...]', 'ids or starts of ids')
    .option('-a, --all', 'every template')
    .action(async (references, flags) => {
      if ((flags.all === true) === references.length > 0) {
        throw new BangerError('USAGE', flags.all === true ? 'give either --all or ids' : 'no template given', {
          remedy: 'banger template list',
        });
      }
      const chosen = flags.all === true ? (await cli.api().listTemplates()).map(({ id }) => id) : references;
      const outcomes = chosen.map(async (reference) => {
        await showStages(cli, (await cli.api().deleteTemplate(reference)).id, 'none');
        return reference;
      });
      await reportInOrder(cli, outcomes, (reference) => cli.print(reference));
    });
}
