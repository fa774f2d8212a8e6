import { checkName } from '../../../model/name.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('promote', "copy a registered image's files into the state directory (clones where the file system can)", [
    'banger image promote mine',
    'banger image promote default --name kept',
  ])
    .argument('<image>', 'name, id or start of an id')
    .option('--name <name>', 'make a new image of the copies (default: change the image itself, which no VM may use then)', (value) =>
      checkName(value, 'image'),
    )
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (image, flags) => {
      const body = flags.name === undefined ? {} : { name: flags.name };
      const { id, name } = await cli.api().showImage(image);
      if (flags.detach === true) return cli.print((await cli.api().promoteImage(id, body, false)).id);
      await showOperation(cli, () => cli.api().promoteImage(id, body, true), flags.progress);
      cli.print(flags.name ?? name);
    });
}
