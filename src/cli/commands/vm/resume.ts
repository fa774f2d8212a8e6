import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';

export function declareCommand(cli: Cli) {
  return newCommand('resume', 'resume paused or suspended virtual machines where they stopped', [
    'banger vm resume web db',
    'banger vm resume --filter state=suspended',
  ])
    .argument('[name...]', 'names, ids or starts of ids (default: the only one there is)')
    .option('--all', 'every virtual machine')
    .addOption(filterOption())
    .addOption(progressOption())
    .action(async (names, flags) => {
      await runVerb(cli, await chooseTargets(cli, names, { ...flags, sole: true }), 'resume', { progress: flags.progress });
    });
}
