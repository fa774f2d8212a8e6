import type { ImageView } from '../../../api/image-schemas.ts';
import { formatAge } from '../../../lib/duration.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { isData, listing, printList } from '../../output.ts';
import type { Column } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return listing(newCommand('list', 'list images', ['banger image list', 'banger image ls -q'])).action(async (flags) => {
    const images = await cli.api().listImages();
    await printList(cli, flags, images, { columns: COLUMNS, wide: WIDE_COLUMNS, name: (image) => image.name });
    if (isData(flags)) return;
    for (const { name, stale, agentOutdated, rebuildCommand } of images) {
      if (stale) cli.note(`${name} was made from another list of packages; make it anew: ${rebuildCommand ?? ''}`);
      else if (agentOutdated)
        cli.note(`${name} has an older guest agent than new images${rebuildCommand === null ? '' : `; make it anew: ${rebuildCommand}`}`);
    }
  });
}

const COLUMNS: readonly Column<ImageView>[] = [
  { title: 'NAME', of: (image) => image.name },
  { title: 'DEFAULT', of: (image) => (image.isDefault ? 'yes' : 'no') },
  { title: 'DISTRIBUTION', of: (image) => image.distribution, minor: true },
  { title: 'INIT', of: (image) => image.initSystem, minor: true },
  { title: 'SIZE', of: (image) => formatSize(image.rootfsBytes) },
  { title: 'MANAGED', of: (image) => (image.managed ? 'yes' : 'no'), minor: true },
  { title: 'VMS', of: (image) => String(image.vms.length), minor: true },
  { title: 'STALE', of: (image) => (image.stale ? 'yes' : 'no') },
  { title: 'CREATED', of: (image) => formatAge(Date.parse(image.createdAt), Date.now()), minor: true },
];

const WIDE_COLUMNS: readonly Column<ImageView>[] = [
  { title: 'ID', of: (image) => image.id },
  { title: 'TEMPLATES', of: (image) => String(image.templates) },
  { title: 'KERNEL', of: (image) => image.kernelVersion ?? '-' },
  { title: 'ROOT FILE SYSTEM', of: (image) => image.rootfsPath },
];
