import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { runOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('fetch', 'fetch Firecracker and its jailer from the official release into the bundle', [
    'banger bundle fetch firecracker',
    'banger bundle fetch firecracker --url file:///srv/firecracker.tgz --sha256 HEX',
  ])
    .argument('<program>', 'firecracker')
    .option('--url <url>', 'http, https or file address of a release archive; default: the pinned release')
    .option('--sha256 <hex>', 'checksum of that archive; goes with --url')
    .option('-d, --detach', 'print the id of the operation and leave')
    .addOption(progressOption())
    .action(async (program, flags) => {
      if (program !== 'firecracker') throw new BangerError('USAGE', `only firecracker can be fetched, not ${JSON.stringify(program)}`);
      if ((flags.url === undefined) !== (flags.sha256 === undefined)) {
        throw new BangerError('USAGE', '--url and --sha256 go together: what is fetched from elsewhere must be known');
      }
      const { url, sha256 } = flags;
      const body = url === undefined || sha256 === undefined ? {} : { url, sha256: sha256.toLowerCase() };
      if (flags.detach === true) return cli.print((await cli.api().fetchFirecracker(body, false)).id);
      await runOperation(cli, () => cli.api().fetchFirecracker(body, true), flags.progress);
      for (const { part, version, path } of (await cli.api().bundle()).files) {
        if (version !== undefined) cli.note(`${part} ${version} in the bundle as ${path}`);
      }
    });
}
