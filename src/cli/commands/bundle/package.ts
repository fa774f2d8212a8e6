import { dirname, resolve } from 'node:path';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';
import { given } from '../../../lib/given.ts';

const DEFAULT_NAME = 'banger-bundle.tar.zst';

export function declareCommand(cli: Cli) {
  return newCommand('package', 'pack the runtime bundle, with a manifest for `bundle fetch` beside it', [
    'banger bundle package',
    'banger bundle package -o /srv/www/banger-bundle.tar.zst --url https://example.org/banger-bundle.tar.zst',
  ])
    .option('-o, --output <file>', "output file, on the daemon's machine", DEFAULT_NAME)
    .option('--url <url>', 'address that the archive will have (default: beside its manifest)')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (flags) => {
      const path = resolve(flags.output);
      const body = { path, ...given({ url: flags.url }) };
      if (flags.detach === true) return cli.print((await cli.api().packageBundle(body, false)).id);
      await showOperation(cli, () => cli.api().packageBundle(body, true), flags.progress);
      cli.print(path);
      cli.note(`elsewhere, with both files in one directory: banger bundle fetch ${dirname(path)}/runtime-bundle.toml`);
    });
}
