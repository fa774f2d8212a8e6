import type { ImageView } from '../../../api/schemas.ts';
import { formatAge } from '../../../lib/duration.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { listing, printList } from '../../output.ts';
import type { Column } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return listing(newCommand('list', 'list images', ['banger image list', 'banger image ls -q'])).action(async (flags) => {
    await printList(cli, flags, await cli.api().listImages(), { columns: COLUMNS, wide: WIDE_COLUMNS, name: (image) => image.name });
  });
}

const COLUMNS: readonly Column<ImageView>[] = [
  { title: 'NAME', of: (image) => image.name },
  { title: 'DEFAULT', of: (image) => (image.isDefault ? 'yes' : 'no') },
  { title: 'DISTRIBUTION', of: (image) => image.distribution },
  { title: 'INIT', of: (image) => image.initSystem },
  { title: 'SIZE', of: (image) => formatSize(image.rootfsBytes) },
  { title: 'MANAGED', of: (image) => (image.managed ? 'yes' : 'no') },
  { title: 'CREATED', of: (image) => formatAge(Date.parse(image.createdAt), Date.now()) },
];

const WIDE_COLUMNS: readonly Column<ImageView>[] = [
  { title: 'ID', of: (image) => image.id },
  { title: 'ROOT FILE SYSTEM', of: (image) => image.rootfsPath },
];
