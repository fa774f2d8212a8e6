import type { Operation } from '../../../api/schemas.ts';
import { formatAge, formatDuration } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { listing, printList } from '../../output.ts';
import type { Column } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return listing(
    newCommand('list', 'list operations', ['banger operation list', 'banger operation ls -o yaml']),
    'ids only, one per line',
  ).action(async (flags) => {
    const operations = await cli.api().listOperations();
    await printList(cli, flags, operations, { columns: COLUMNS, wide: WIDE_COLUMNS, name: (operation) => operation.id });
  });
}

const COLUMNS: readonly Column<Operation>[] = [
  { title: 'ID', of: (operation) => operation.id },
  { title: 'VERB', of: (operation) => operation.verb },
  { title: 'VM', of: (operation) => operation.vmName ?? operation.vmId ?? '-' },
  { title: 'STATE', of: (operation) => operation.state },
  { title: 'STARTED', of: (operation) => formatAge(Date.parse(operation.createdAt), Date.now()), minor: true },
  {
    title: 'TOOK',
    of: (operation) => (operation.endedAt === null ? '-' : formatDuration(Date.parse(operation.endedAt) - Date.parse(operation.createdAt))),
    minor: true,
  },
  { title: 'ERROR', of: (operation) => operation.error?.message ?? '' },
];

const WIDE_COLUMNS: readonly Column<Operation>[] = [
  { title: 'VM-ID', of: (operation) => operation.vmId ?? '-' },
  { title: 'CODE', of: (operation) => operation.error?.code ?? '-' },
  { title: 'LOG', of: (operation) => operation.error?.logPath ?? '-' },
];
