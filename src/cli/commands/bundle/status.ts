import type { BundleStatus } from '../../../api/schemas.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { type Facts, printOne, showing, widthOf } from '../../output.ts';
import { renderFacts, renderTable } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('status', 'show the runtime bundle; exits with 1 if it cannot be used', ['banger bundle status']);
  return showing(command, 'its directory only').action(async (flags) => {
    const bundle = await cli.api().bundle();
    if (!bundle.found || bundle.problems.length > 0) cli.exitCode = 1;
    await printOne(cli, flags, bundle, {
      name: ({ directory }) => directory,
      lines: () => [...renderFacts(factsOf(bundle)), ...(bundle.files.length === 0 ? [] : ['', ...fileLines(bundle, widthOf(cli))])],
    });
  });
}

function factsOf(bundle: BundleStatus): Facts {
  return [
    ['directory', bundle.directory],
    ['state', bundle.found ? (bundle.stale ? 'stale' : 'up to date') : 'missing'],
    ...bundle.problems.map((problem): [string, string] => ['problem', problem]),
    ['try', bundle.remedy],
    ['distribution', bundle.distribution],
    ['kernel', bundle.kernelVersion],
    ['built', bundle.builtAt],
    ...ADDED.map((part): [string, string] => [part, versionOf(bundle.files, part)]),
  ];
}

function fileLines({ files }: BundleStatus, width: number | undefined): string[] {
  const columns = [
    { title: 'PART', of: (file: BundleStatus['files'][number]) => file.part },
    { title: 'SIZE', of: (file: BundleStatus['files'][number]) => formatSize(file.sizeBytes) },
    { title: 'PATH', of: (file: BundleStatus['files'][number]) => file.path },
  ];
  return renderTable(columns, files, { width });
}

/** Programs that not every bundle has. */
const ADDED = ['firecracker', 'jailer'];

function versionOf(files: readonly { part: string; version?: string | undefined }[], part: string): string {
  return files.find((file) => file.part === part)?.version ?? 'not in the bundle; get it: banger bundle fetch firecracker';
}
