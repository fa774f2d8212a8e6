import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { confirm } from '../../confirm.ts';
import { chooseImages } from '../../image-targets.ts';
import { showStages } from '../../operations.ts';
import { reportInOrder } from '../../targets.ts';

export function declareCommand(cli: Cli) {
  return newCommand('delete', 'delete images that no virtual machine uses; registered files stay', [
    'banger image delete dev',
    'banger image rm -f dev old',
  ])
    .argument('<name...>', 'names, ids or starts of ids')
    .option('-f, --force', 'do not ask for confirmation (banger asks only on a terminal)')
    .option('-y, --yes', 'the same as --force')
    .action(async (names, flags) => {
      const images = await chooseImages(cli, names);
      if (flags.force !== true && flags.yes !== true) {
        const known = (await Promise.allSettled(images)).flatMap((found) => (found.status === 'fulfilled' ? [found.value.name] : []));
        await confirm(cli, known, 'Delete', 'nothing was deleted');
      }
      const outcomes = images.map(async (found) => {
        const image = await found;
        await showStages(cli, (await cli.api().deleteImage(image.id)).id, 'none');
        return image.name;
      });
      await reportInOrder(cli, outcomes, (name) => cli.print(name));
    });
}
