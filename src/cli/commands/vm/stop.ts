import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { confirm } from '../../confirm.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';
import { parseTimeout } from '../../values.ts';

export function declareCommand(cli: Cli) {
  return newCommand('stop', 'shut virtual machines down, by force after the grace time', [
    'banger vm stop web db',
    'banger vm stop --all --grace 5s',
  ])
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .addOption(filterOption())
    .option('-t, --grace <duration>', "time for the guest to shut down (default: the daemon's setting)", (v) => parseTimeout('--grace', v))
    .option('-y, --yes', 'discard the memory of suspended virtual machines without asking (banger asks only on a terminal)')
    .addOption(progressOption())
    .action(async (names, flags) => {
      const body = flags.grace === undefined ? {} : { graceMs: flags.grace };
      const targets = await chooseTargets(cli, names, flags);
      const suspended = targets.flatMap((target) => ('vm' in target && target.vm.state === 'suspended' ? target.vm.name : []));
      if (flags.yes !== true) await confirm(cli, suspended, 'Discard the memory of', 'nothing was stopped');
      await runVerb(cli, targets, 'stop', { progress: flags.progress, body });
    });
}
