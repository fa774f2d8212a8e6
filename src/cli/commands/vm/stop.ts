import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
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
    .addOption(progressOption())
    .action(async (names, flags) => {
      const body = flags.grace === undefined ? {} : { graceMs: flags.grace };
      await runVerb(cli, await chooseTargets(cli, names, flags), 'stop', { progress: flags.progress, body });
    });
}
