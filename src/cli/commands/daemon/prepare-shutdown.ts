import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showStages } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand(
    'prepare-shutdown',
    'suspend or stop the running virtual machines before the host shuts down, as on_host_shutdown says',
    ['banger daemon prepare-shutdown'],
  )
    .addOption(progressOption())
    .action(async (flags) => {
      const { id } = await cli.runningApi().prepareShutdown();
      await showStages(cli, id, flags.progress);
    });
}
