import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';

export function declareCommand(cli: Cli) {
  return newCommand('restart', 'stop virtual machines and start them again, with their disks', [
    'banger vm restart web db',
    'banger vm restart --all',
  ])
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .option('--rescue', "boot the image's own system beside the VM's disks, to repair them; the next start is an ordinary one")
    .addOption(filterOption())
    .addOption(progressOption())
    .action(async (names, flags) => {
      await runVerb(cli, await chooseTargets(cli, names, flags), 'restart', {
        progress: flags.progress,
        ...(flags.rescue === true ? { body: { rescue: true } } : {}),
      });
    });
}
