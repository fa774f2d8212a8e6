import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { runOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('fetch', 'fetch a packaged bundle, or Firecracker into the bundle that is there', [
    'banger bundle fetch https://example.org/runtime-bundle.toml',
    'banger bundle fetch ./runtime-bundle.toml',
    'banger bundle fetch firecracker',
    'banger bundle fetch firecracker --url file:///srv/firecracker.tgz --sha256 HEX',
  ])
    .argument('[what]', '`firecracker`, or path or address of a runtime-bundle.toml; default: the one of this installation')
    .option('--url <url>', 'http, https or file address of a Firecracker release; default: the pinned release')
    .option('--sha256 <hex>', 'checksum of that release; goes with --url')
    .option('-d, --detach', 'print the id of the operation and leave')
    .addOption(progressOption())
    .action(async (what, flags) => {
      const begin = what === 'firecracker' ? fetchProgram(cli, flags) : fetchWhole(cli, what, flags);
      if (flags.detach === true) return cli.print((await begin(false)).id);
      await runOperation(cli, () => begin(true), flags.progress);
      const { directory, distribution, kernelVersion, files } = await cli.api().bundle();
      if (what !== 'firecracker') return cli.note(`runtime bundle in ${directory}: ${distribution}, Linux ${kernelVersion}`);
      for (const { part, version, path } of files) {
        if (version !== undefined) cli.note(`${part} ${version} in the bundle as ${path}`);
      }
    });
}

type Sources = { url?: string | undefined; sha256?: string | undefined };
type Begin = (attach: boolean) => ReturnType<ReturnType<Cli['api']>['fetchBundle']>;

function fetchProgram(cli: Cli, { url, sha256 }: Sources): Begin {
  if ((url === undefined) !== (sha256 === undefined)) {
    throw new BangerError('USAGE', '--url and --sha256 go together: what is fetched from elsewhere must be known');
  }
  const body = url === undefined || sha256 === undefined ? {} : { url, sha256: sha256.toLowerCase() };
  return (attach) => cli.api().fetchFirecracker(body, attach);
}

function fetchWhole(cli: Cli, what: string | undefined, { url, sha256 }: Sources): Begin {
  if ((url ?? sha256) !== undefined) throw new BangerError('USAGE', '--url and --sha256 are of firecracker; a bundle has a manifest');
  return (attach) => cli.api().fetchBundle(what === undefined ? undefined : addressOf(what), attach);
}

function addressOf(what: string): string {
  if (/^(https?|file):\/\//.test(what)) return what;
  if (what.includes('/') || what.endsWith('.toml')) return pathToFileURL(resolve(what)).href;
  throw new BangerError('USAGE', `${JSON.stringify(what)} is no address, no path of a manifest, and no program`, {
    remedy: 'banger bundle fetch ./runtime-bundle.toml',
  });
}
