import type { TemplateView } from '../../../api/template-schemas.ts';
import { formatAge } from '../../../lib/duration.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { listing, printList } from '../../output.ts';
import type { Column } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return listing(newCommand('list', 'list templates', ['banger template list', 'banger template ls -q'])).action(async (flags) => {
    await printList(cli, flags, await cli.api().listTemplates(), { columns: COLUMNS, wide: [], name: ({ id }) => id });
  });
}

const SHORT_ID = 8;

const COLUMNS: readonly Column<TemplateView>[] = [
  { title: 'ID', of: ({ id }) => id.slice(0, SHORT_ID) },
  { title: 'IMAGE', of: ({ image }) => image },
  { title: 'VCPU', of: ({ spec }) => String(spec.vcpuCount) },
  { title: 'MEMORY', of: ({ spec }) => formatSize(spec.memoryMib * 1024 ** 2) },
  { title: 'ON DISK', of: ({ allocatedBytes }) => formatSize(allocatedBytes) },
  { title: 'CREATED', of: ({ createdAt }) => formatAge(Date.parse(createdAt), Date.now()) },
  { title: 'USED', of: ({ lastUsedAt }) => (lastUsedAt === null ? '-' : formatAge(Date.parse(lastUsedAt), Date.now())) },
];
