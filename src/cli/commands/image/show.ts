import type { ImageView } from '../../../api/image-schemas.ts';
import { formatAge } from '../../../lib/duration.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { chooseImages } from '../../image-targets.ts';
import { type Facts, printEach, showing } from '../../output.ts';
import { reportInOrder } from '../../targets.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('show', 'show everything about images (-o json: one object per image)', [
    'banger image show default',
    "banger image show dev --format '{{.buildLogPath}}'",
  ]).argument('<name...>', 'name, id or start of an id');
  return showing(command, 'names only').action(async (names, flags) => {
    const found: ImageView[] = [];
    await reportInOrder(cli, await chooseImages(cli, names), (image) => void found.push(image));
    await printEach(cli, flags, found, { name: ({ name }) => name, facts: factsOf });
  });
}

/** @returns null if the image has the same guest agent as new images */
function agentOf({ agentOutdated, rebuildCommand }: ImageView): string | null {
  if (!agentOutdated) return null;
  return `older than that of new images; ${rebuildCommand === null ? 'make the image anew to renew it' : `renew it: ${rebuildCommand}`}`;
}

function factsOf(image: ImageView): Facts {
  const list = (values: readonly (string | number)[]): string | null => (values.length === 0 ? null : values.join(', '));
  const isContainer = image.entrypoint !== null;
  return [
    ['name', image.name],
    ['id', image.id],
    ['default', image.isDefault ? 'yes' : null],
    ['managed', image.managed ? 'yes' : 'no: its files belong to the user or to the bundle'],
    ['origin', image.origin],
    ['distribution', image.distribution],
    ['init', image.initSystem],
    ['kernel version', image.kernelVersion],
    ['entrypoint', image.entrypoint === null ? null : JSON.stringify(image.entrypoint)],
    ['environment', isContainer ? list(Object.entries(image.env).map(([name, value]) => `${name}=${value}`)) : null],
    ['user', image.user],
    ['directory', image.workdir],
    ['stop signal', image.stopSignal === null ? null : String(image.stopSignal)],
    ['notes', list(image.notes)],
    ['kernel', image.kernelPath],
    ['initramfs', image.initramfsPath],
    ['modules', image.modulesPath],
    ['root file system', `${image.rootfsPath} (${formatSize(image.rootfsBytes)})`],
    [
      'work seed',
      image.workSeedPath === null ? 'none: work disks are made empty' : `${image.workSeedPath} (${formatSize(image.workSeedBytes)})`,
    ],
    ['work seed hash', image.workSeedFingerprint],
    ['ssh key', image.sshKeyFingerprint],
    ['packages', list(image.packages)],
    ['packages hash', image.packagesHash],
    ['service ports', list(image.servicePorts)],
    ['virtual machines', list(image.vms)],
    ['build log', image.buildLogPath],
    ['stale', image.stale ? `yes; make it anew: ${image.rebuildCommand ?? ''}` : null],
    ['guest agent', agentOf(image)],
    ['created', `${image.createdAt} (${formatAge(Date.parse(image.createdAt), Date.now())})`],
  ];
}
