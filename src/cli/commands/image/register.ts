import { resolve } from 'node:path';
import type { RegisterImage } from '../../../api/image-schemas.ts';
import { checkName } from '../../../model/name.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand, newOption } from '../../command.ts';
import { isData, printOne, showing } from '../../output.ts';
import { parseInteger } from '../../values.ts';
import { given } from '../../../lib/given.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('register', 'register your own files as an image; they stay where they are', [
    'banger image register --name mine --rootfs /srv/images/mine.ext4',
    'banger image register --name mine --rootfs root.ext4 --kernel vmlinux --initramfs initramfs.cpio --init runit',
  ])
    .requiredOption('--name <name>', 'name, a DNS label', (value) => checkName(value, 'image'))
    .requiredOption('--rootfs <file>', 'ext4 root file system')
    .option('--kernel <file>', 'vmlinux or bzImage; needs --initramfs (default: those of the default image)')
    .option('--initramfs <file>', "initramfs with banger's guest agent")
    .option('--modules <file>', "archive of the kernel's modules")
    .option('--work-seed <file>', 'ext4 file system that work disks are cloned from (default: empty work disks)')
    .option('--distribution <text>', 'name of the distribution, for display')
    .addOption(
      newOption('--init <system>', 'init system of the image')
        .choices(['systemd', 'runit', 'none'] as const)
        .default('systemd' as const),
    )
    .option('--service-port <port>', 'guest port that VMs wait for (may be repeated)', collect);
  return showing(command).action(async (flags) => {
    const path = (key: keyof RegisterImage, value: string | undefined) => (value === undefined ? {} : { [key]: resolve(value) });
    const ports = flags.servicePort?.map((port) => parseInteger('--service-port', port, { min: 1, max: 65_535 }));
    const image = await cli.api().registerImage({
      name: flags.name,
      rootfsPath: resolve(flags.rootfs),
      initSystem: flags.init,
      ...path('kernelPath', flags.kernel),
      ...path('initramfsPath', flags.initramfs),
      ...path('modulesPath', flags.modules),
      ...path('workSeedPath', flags.workSeed),
      ...given({ distribution: flags.distribution, servicePorts: ports }),
    });
    await printOne(cli, flags, image, { name: () => image.name, lines: () => [image.name] });
    if (!isData(flags)) cli.note(`recorded; try it: banger vm create --image ${image.name}`);
  });
}
