import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('warm', 'make a template of an image, so that new virtual machines need not boot', [
    'banger image warm default',
    'banger image warm dev --detach',
  ])
    .argument('<image>', 'name, id or start of an id')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (image, flags) => {
      const { id, name } = await cli.api().showImage(image);
      if (flags.detach === true) return cli.print((await cli.api().warmImage(id, false)).id);
      await showOperation(cli, () => cli.api().warmImage(id, true), flags.progress);
      cli.print(name);
    });
}
