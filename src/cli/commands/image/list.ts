import type { ImageView } from '../../../api/image-schemas.ts';
import { formatAge } from '../../../lib/duration.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { type Column, renderTable } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('list', 'list images', ['banger image list', 'banger image ls -q'])
    .addOption(outputOption())
    .option('-q, --quiet', 'names only')
    .action(async (flags) => {
      const images = await cli.api().listImages();
      if (flags.output === 'json') return cli.print(JSON.stringify(images, null, 2));
      if (flags.quiet === true) {
        for (const image of images) cli.print(image.name);
        return;
      }
      for (const line of renderTable(COLUMNS, images)) cli.print(line);
      for (const { name, stale, rebuildCommand } of images) {
        if (stale) cli.note(`${name} was made from another list of packages; make it anew: ${rebuildCommand ?? ''}`);
      }
    });
}

const COLUMNS: readonly Column<ImageView>[] = [
  { title: 'NAME', of: (image) => image.name },
  { title: 'DEFAULT', of: (image) => (image.isDefault ? 'yes' : 'no') },
  { title: 'DISTRIBUTION', of: (image) => image.distribution },
  { title: 'INIT', of: (image) => image.initSystem },
  { title: 'SIZE', of: (image) => formatSize(image.rootfsBytes) },
  { title: 'MANAGED', of: (image) => (image.managed ? 'yes' : 'no') },
  { title: 'VMS', of: (image) => String(image.vms.length) },
  { title: 'STALE', of: (image) => (image.stale ? 'yes' : 'no') },
  { title: 'CREATED', of: (image) => formatAge(Date.parse(image.createdAt), Date.now()) },
];
