import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { checkName } from '../../../model/name.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';
import { given } from '../../../lib/given.ts';

const EXAMPLES = [
  'docker save nginx:alpine | banger image import - --name nginx',
  'banger image import ./oci-layout --name web',
  'banger image import rootfs.tar.zst && banger vm create --image rootfs',
];

export function declareCommand(cli: Cli) {
  return newCommand('import', 'make an image from a root file system (tar), an OCI layout, or the output of docker save', EXAMPLES)
    .argument('<path>', 'file or directory; - reads standard input')
    .option('--name <name>', 'name of the image, a DNS label (default: from the name of the file)', (value) => checkName(value, 'image'))
    .option('--reference <name>', 'the image to take if the archive has several, for example nginx:alpine')
    .option('--replace', 'take over the name of an existing image; its VMs keep that image')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (path, flags) => {
      const name = flags.name ?? nameFrom(path);
      const spool = path === '-' ? await spoolStdin(cli) : undefined;
      try {
        const body = {
          name,
          path: spool?.path ?? resolve(path),
          ...given({ reference: flags.reference }),
          ...(flags.replace === undefined ? {} : { replace: true }),
        };
        // The copy of standard input is removed when this program ends, so the import must end before it.
        if (flags.detach === true && spool === undefined) return cli.print((await cli.api().importImage(body, false)).id);
        await showOperation(cli, () => cli.api().importImage(body, true), flags.progress);
        cli.print(name);
        for (const note of (await cli.api().showImage(name)).notes) cli.note(`note: ${note}`);
        cli.note(`use it: banger vm create --image ${name}`);
      } finally {
        spool?.remove();
      }
    });
}

/** @returns `nginx` for `/tmp/nginx.tar.gz` @throws INVALID_INPUT if the file's name yields no valid name */
function nameFrom(path: string): string {
  const base = basename(resolve(path)).replace(/(\.(tar|tgz|gz|zst|xz|txz|oci|docker))+$/i, '');
  const name = base
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return checkName(path === '-' ? '' : name, 'image');
}

async function spoolStdin(cli: Cli): Promise<{ path: string; remove: () => void }> {
  const { cacheDirectory } = cli.directories();
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o700 });
  const directory = mkdtempSync(join(cacheDirectory, 'import-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const path = join(directory, 'stdin');
  try {
    await pipeline(cli.stdin, createWriteStream(path, { mode: 0o600 }));
    return { path, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
