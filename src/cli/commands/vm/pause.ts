import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';

export function declareCommand(cli: Cli) {
  return newCommand('pause', 'stop the processors of virtual machines until vm resume; their memory stays', [
    'banger vm pause web db',
    'banger vm pause --all',
  ])
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .addOption(filterOption())
    .addOption(progressOption())
    .action(async (names, flags) => {
      await runVerb(cli, await chooseTargets(cli, names, flags), 'pause', { progress: flags.progress });
    });
}
