import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { renderFacts, renderTable } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('status', 'show the runtime bundle; ends with 1 when it cannot be used', ['banger bundle status'])
    .addOption(outputOption())
    .action(async (flags) => {
      const bundle = await cli.api().bundle();
      if (!bundle.found || bundle.problems.length > 0) cli.exitCode = 1;
      if (flags.output === 'json') return cli.print(JSON.stringify(bundle, null, 2));
      const state = bundle.found ? (bundle.stale ? 'stale' : 'up to date') : 'missing';
      const facts: [string, string | null][] = [
        ['directory', bundle.directory],
        ['state', state],
        ...bundle.problems.map((problem): [string, string] => ['problem', problem]),
        ['try', bundle.remedy],
        ['distribution', bundle.distribution],
        ['kernel', bundle.kernelVersion],
        ['built', bundle.builtAt],
        ...ADDED.map((part): [string, string] => [part, versionOf(bundle.files, part)]),
      ];
      for (const line of renderFacts(facts)) cli.print(line);
      if (bundle.files.length === 0) return;
      cli.print('');
      const table = renderTable(
        [
          { title: 'PART', of: (file) => file.part },
          { title: 'SIZE', of: (file) => formatSize(file.sizeBytes) },
          { title: 'PATH', of: (file) => file.path },
        ],
        bundle.files,
      );
      for (const line of table) cli.print(line);
    });
}

/** Programs that are no part of every bundle. */
const ADDED = ['firecracker', 'jailer'];

function versionOf(files: readonly { part: string; version?: string | undefined }[], part: string): string {
  return files.find((file) => file.part === part)?.version ?? 'not in the bundle; get it: banger bundle fetch firecracker';
}
