import type { Operation } from '../../../api/schemas.ts';
import { formatAge, formatDuration } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { type Column, renderTable } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('list', 'list operations', ['banger operation list'])
    .addOption(outputOption())
    .option('-q, --quiet', 'ids only')
    .action(async (flags) => {
      const operations = await cli.api().listOperations();
      if (flags.output === 'json') cli.print(JSON.stringify(operations, null, 2));
      else if (flags.quiet === true) for (const operation of operations) cli.print(operation.id);
      else for (const line of renderTable(COLUMNS, operations)) cli.print(line);
    });
}

const COLUMNS: readonly Column<Operation>[] = [
  { title: 'ID', of: (operation) => operation.id },
  { title: 'VERB', of: (operation) => operation.verb },
  { title: 'VM', of: (operation) => operation.vmName ?? operation.vmId ?? '-' },
  { title: 'STATE', of: (operation) => operation.state },
  { title: 'STARTED', of: (operation) => formatAge(Date.parse(operation.createdAt), Date.now()) },
  {
    title: 'TOOK',
    of: (operation) => (operation.endedAt === null ? '-' : formatDuration(Date.parse(operation.endedAt) - Date.parse(operation.createdAt))),
  },
  { title: 'ERROR', of: (operation) => operation.error?.message ?? '' },
];
