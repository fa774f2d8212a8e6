import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { runOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('build', "make the runtime bundle from the distribution's packages", [
    'banger bundle build',
    'banger bundle build --force --progress plain',
  ])
    .option('--force', 'make it also when it is up to date')
    .option('-d, --detach', 'print the id of the operation and leave')
    .addOption(progressOption())
    .action(async (flags) => {
      const body = flags.force === true ? { force: true } : {};
      if (flags.detach === true) return cli.print((await cli.api().buildBundle(body, false)).id);
      await runOperation(cli, () => cli.api().buildBundle(body, true), flags.progress);
      const { directory, distribution, kernelVersion } = await cli.api().bundle();
      cli.note(`runtime bundle in ${directory}: ${distribution}, Linux ${kernelVersion}`);
    });
}
