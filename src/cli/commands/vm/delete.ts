import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { progressOption } from '../../progress-option.ts';
import { confirm } from '../../confirm.ts';
import { chooseTargets, runVerb, type Target } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';

export function declareCommand(cli: Cli) {
  return newCommand('delete', 'delete virtual machines and their disks, in any state', ['banger vm delete web db', 'banger vm rm -f --all'])
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .addOption(filterOption())
    .option('-f, --force', 'do not ask for confirmation (banger asks only on a terminal)')
    .option('-y, --yes', 'the same as --force')
    .addOption(progressOption())
    .action(async (names, flags) => {
      const targets = await chooseTargets(cli, names, flags);
      if (flags.force !== true && flags.yes !== true)
        await confirm(cli, namesOf(targets), 'Delete', 'nothing was deleted', ' with all disks');
      await runVerb(cli, targets, 'delete', { progress: flags.progress });
    });
}

function namesOf(targets: readonly Target[]): string[] {
  return targets.flatMap((target) => ('vm' in target ? [target.vm.name] : []));
}
