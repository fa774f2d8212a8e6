import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';
import { parseSignal } from '../../values.ts';

export function declareCommand(cli: Cli) {
  return newCommand('kill', 'end virtual machines at once, without a shutdown of the guest', [
    'banger vm kill web',
    'banger vm kill --signal TERM web',
  ])
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .addOption(filterOption())
    .option('-s, --signal <signal>', 'signal for the hypervisor process (default: KILL)', (v) => parseSignal('--signal', v))
    .addOption(progressOption())
    .action(async (names, flags) => {
      const body = flags.signal === undefined ? {} : { signal: flags.signal };
      await runVerb(cli, await chooseTargets(cli, names, flags), 'kill', { progress: flags.progress, body });
    });
}
