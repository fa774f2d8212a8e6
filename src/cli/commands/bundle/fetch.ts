import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { confirm } from '../../confirm.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';

export function declareCommand(cli: Cli) {
  return newCommand('fetch', 'fetch a packaged bundle, or add Firecracker to the installed one', [
    'banger bundle fetch https://example.org/runtime-bundle.toml',
    'banger bundle fetch ./runtime-bundle.toml',
    'banger bundle fetch http://mirror.example.org/runtime-bundle.toml --sha256 HEX',
    'banger bundle fetch firecracker',
    'banger bundle fetch firecracker --url file:///srv/firecracker.tgz --sha256 HEX',
  ])
    .argument('[what]', '`firecracker`, or path or address of a runtime-bundle.toml (default: of this installation)')
    .option('--url <url>', 'http, https or file address of a Firecracker release; default: the pinned release')
    .option('--sha256 <hex>', 'checksum of that release, or of that runtime-bundle.toml')
    .option('-y, --yes', 'do not ask before using a bundle whose origin nothing verifies (banger asks only on a terminal)')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (what, flags) => {
      const begin = what === 'firecracker' ? fetchProgram(cli, flags) : await fetchWhole(cli, what, flags);
      if (flags.detach === true) return cli.print((await begin(false)).id);
      await showOperation(cli, () => begin(true), flags.progress);
      const { directory, distribution, kernelVersion, files } = await cli.api().bundle();
      if (what !== 'firecracker') return cli.note(`runtime bundle in ${directory}: ${distribution}, Linux ${kernelVersion}`);
      for (const { part, version, path } of files) {
        if (version !== undefined) cli.note(`${part} ${version} in the bundle as ${path}`);
      }
    });
}

type Sources = { url?: string | undefined; sha256?: string | undefined; yes?: true | undefined };
type Begin = (attach: boolean) => ReturnType<ReturnType<Cli['api']>['fetchBundle']>;

function fetchProgram(cli: Cli, { url, sha256 }: Sources): Begin {
  if ((url === undefined) !== (sha256 === undefined)) {
    throw new BangerError('USAGE', '--url and --sha256 go together: a download from another address needs a checksum');
  }
  const body = url === undefined || sha256 === undefined ? {} : { url, sha256: sha256.toLowerCase() };
  return (attach) => cli.api().fetchFirecracker(body, attach);
}

async function fetchWhole(cli: Cli, what: string | undefined, { url, sha256, yes }: Sources): Promise<Begin> {
  if (url !== undefined) throw new BangerError('USAGE', '--url is for firecracker; name a bundle by its manifest');
  if (what === undefined && sha256 !== undefined) throw new BangerError('USAGE', '--sha256 needs the address of a manifest');
  if (what === undefined) return (attach) => cli.api().fetchBundle({}, attach);
  const manifest = addressOf(what);
  if (manifest.startsWith('http:') && sha256 === undefined) await warn(cli, manifest, yes === true);
  const body = { manifest, ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }) };
  return (attach) => cli.api().fetchBundle(body, attach);
}

/** The manifest says what the archive must be, so anyone who can change the manifest chooses what runs here. */
async function warn(cli: Cli, manifest: string, isSure: boolean): Promise<void> {
  cli.note(
    `banger: warning: ${manifest} comes over plain http and without a checksum: anyone on the network path can choose what your machines run`,
  );
  cli.note('  try: an https address, or --sha256 of the file');
  if (!isSure) await confirm(cli, [manifest], 'Fetch', 'nothing was fetched', ' all the same');
}

function addressOf(what: string): string {
  if (/^(https?|file):\/\//.test(what)) return what;
  if (what.includes('/') || what.endsWith('.toml')) return pathToFileURL(resolve(what)).href;
  throw new BangerError('USAGE', `${JSON.stringify(what)} is not an address, not a path of a manifest, and not firecracker`, {
    remedy: 'banger bundle fetch ./runtime-bundle.toml',
  });
}
