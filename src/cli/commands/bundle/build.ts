import { resolve } from 'node:path';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('build', "make the runtime bundle from the distribution's packages", [
    'banger bundle build',
    'banger bundle build --force --progress plain',
    'banger bundle build --firecracker /opt/firecracker/firecracker --jailer /opt/firecracker/jailer',
  ])
    .option('--force', 'build it even if it is up to date')
    .option('--firecracker <path>', 'program to copy into the bundle (BANGER_FIRECRACKER)')
    .option('--jailer <path>', 'jailer of the same release (BANGER_JAILER)')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (flags) => {
      const given = (flag: string | undefined, variable: string): string | undefined => flag ?? (cli.env[variable] || undefined);
      const firecracker = given(flags.firecracker, 'BANGER_FIRECRACKER');
      const jailer = given(flags.jailer, 'BANGER_JAILER');
      const body = {
        ...(flags.force === true ? { force: true } : {}),
        ...(firecracker === undefined ? {} : { firecracker: resolve(firecracker) }),
        ...(jailer === undefined ? {} : { jailer: resolve(jailer) }),
      };
      if (flags.detach === true) return cli.print((await cli.api().buildBundle(body, false)).id);
      await showOperation(cli, () => cli.api().buildBundle(body, true), flags.progress);
      const { directory, distribution, kernelVersion } = await cli.api().bundle();
      cli.note(`runtime bundle in ${directory}: ${distribution}, Linux ${kernelVersion}`);
    });
}
