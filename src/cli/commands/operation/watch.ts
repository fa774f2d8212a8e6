import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showStages } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('watch', 'show the stages of an operation until it ends; Ctrl-C only stops watching', [
    'banger operation watch 3f2a91c0',
  ])
    .argument('<id>', 'id or start of an id')
    .addOption(progressOption())
    .action(async (id, flags) => {
      const end = await showStages(cli, id, flags.progress);
      if (end.vm !== null) cli.print(end.vm.name);
    });
}
