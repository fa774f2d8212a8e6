import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { loadContexts } from '../../../client/context-file.ts';
import { LOCAL_CONTEXT } from '../../../client/endpoint.ts';
import { listing, printList } from '../../output.ts';

export function declareCommand(cli: Cli) {
  return listing(newCommand('list', 'list the contexts', ['banger context list', 'banger context list -q'])).action(async (flags) => {
    const { current, contexts } = loadContexts(cli);
    const active = cli.env['BANGER_CONTEXT'] || current;
    const named = [[LOCAL_CONTEXT, { host: LOCAL_CONTEXT }] as const, ...Object.entries(contexts)];
    const rows = named.map(([name, context]) => ({
      name,
      current: name === active,
      host: context.host,
      program: 'program' in context ? context.program : undefined,
    }));
    if (cli.env['BANGER_HOST']) cli.note(`BANGER_HOST is set and wins: ${cli.env['BANGER_HOST']}`);
    await printList(cli, flags, rows, {
      name: (row) => row.name,
      columns: [
        { title: 'NAME', of: (row) => row.name },
        { title: 'CURRENT', of: (row) => (row.current ? 'yes' : '') },
        { title: 'HOST', of: (row) => row.host },
      ],
      wide: [{ title: 'PROGRAM', of: (row) => row.program ?? '' }],
    });
  });
}
