import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { BangerError } from '../../../model/errors.ts';
import { showStages } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand(
    'cancel',
    'cancel an operation and wait until it is rolled back; a stop cannot be undone, only the wait for its guest ends',
    ['banger operation cancel 3f2a91c0'],
  )
    .argument('<id>', 'id or start of an id')
    .option('-d, --detach', 'do not wait')
    .addOption(progressOption())
    .action(async (id, flags) => {
      await cli.api().cancelOperation(id);
      if (flags.detach === true) return;
      try {
        await showStages(cli, id, flags.progress);
      } catch (error) {
        if (error instanceof BangerError && error.code === 'CANCELLED') return cli.print(id);
        throw error;
      }
      throw new BangerError('WRONG_STATE', `operation ${id} ended before it could be cancelled`, { details: { operation: id } });
    });
}
