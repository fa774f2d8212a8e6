// Builds the lab's machine: an ordinary Debian with its own kernel, kept in the user's cache until its packages or scripts change.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { realHost } from '../../src/host/host.ts';
import { hashFolder, hashOf } from '../../src/images/bundle/build-inputs.ts';
import { inNamespace } from '../../src/images/bundle/namespace.ts';
import { packageOrigin, parsePackageList } from '../../src/images/bundle/root-packages.ts';
import type { PackageOrigin } from '../../src/images/bundle/root-packages.ts';
import type { BuildStep, StepCache } from '../../src/images/bundle/step-cache.ts';
import { checkVmlinux, decompress, kernelPayload } from '../../src/images/bundle/vmlinux.ts';

const SCRIPTS = join(import.meta.dirname, 'image');
const BOOTSTRAP = join(import.meta.dirname, '../../images/debian/bootstrap.sh');
const LIMIT_MS = 1_800_000;

/** Paths of the files, and their directories in the cache. */
export type LabImage = { kernel: string; initramfs: string; root: string; xfs: string; directories: string[] };

/** @returns the machine's files; builds them if there are none for these packages, their versions and these scripts */
export async function labImage(cache: StepCache, signal: AbortSignal): Promise<LabImage> {
  const packages = parsePackageList(await readFile(join(SCRIPTS, 'packages.txt'), 'utf8'));
  const origin = await packageOrigin(realHost);
  const installed = await cache.run(packagesStep(origin, packages, await availableVersions(packages), signal));
  const image = await cache.run(
    await imageStep(join(installed.directory, 'root.tar'), installed.outputs['root.tar']?.sha256 ?? '', signal),
  );
  const directories = [installed.directory, image.directory];
  const at = (name: string): string => join(image.directory, name);
  return { kernel: at('vmlinux'), initramfs: at('initramfs.cpio'), root: at('root.ext4'), xfs: at('scratch.xfs'), directories };
}

/** What apt would install now: if an `apt-get update` brings new versions, the machine is rebuilt. */
async function availableVersions(packages: readonly string[]): Promise<string[]> {
  const { stdout } = await realHost.run(['apt-cache', 'show', '--no-all-versions', ...packages]);
  return stdout.split('\n').filter((line) => /^(Package|Version): /.test(line));
}

function packagesStep(origin: PackageOrigin, packages: readonly string[], versions: readonly string[], signal: AbortSignal): BuildStep {
  return {
    name: 'packages',
    key: hashOf(origin.codename, origin.sources, ...origin.aptOptions, '', ...packages, '', ...versions),
    outputs: ['root.tar'],
    apply: async (directory) => {
      const mountPoint = join(directory, 'mount');
      const sourcesPath = join(directory, 'debian.sources');
      await realHost.makePrivateDirectory(mountPoint);
      await realHost.writeFileAtomic(sourcesPath, origin.sources, 0o644);
      const argv = [
        ...['sh', BOOTSTRAP, mountPoint, join(directory, 'root.tar')],
        // The lab has an initramfs of its own; building Debian's takes longer than everything else.
        ...['env', 'INITRD=No', 'mmdebstrap', '--mode=root', '--variant=minbase', '--format=tar'],
        ...origin.aptOptions.map((option) => `--aptopt=${option}`),
        ...[`--include=${packages.join(',')}`, origin.codename, '-', sourcesPath],
      ];
      await realHost.run(inNamespace(process.getuid?.() ?? 0, argv), { timeoutMs: LIMIT_MS, signal });
    },
  };
}

async function imageStep(rootTar: string, rootTarHash: string, signal: AbortSignal): Promise<BuildStep> {
  return {
    name: 'machine',
    key: hashOf(rootTarHash, await hashFolder(SCRIPTS)),
    // The disks are sparse and large: hashing their holes would take longer than making them.
    outputs: ['vmlinux', 'initramfs.cpio'],
    apply: async (directory) => {
      const mountPoint = join(directory, 'mount');
      await realHost.makePrivateDirectory(mountPoint);
      const argv = ['sh', join(SCRIPTS, 'assemble.sh'), mountPoint, rootTar, SCRIPTS, directory];
      await realHost.run(inNamespace(process.getuid?.() ?? 0, argv), { timeoutMs: LIMIT_MS, signal });
      // Uncompressed, because unpacking takes an emulated CPU several seconds at every start.
      const image = await readFile(join(directory, 'vmlinuz'));
      const elf = await decompress(kernelPayload(image), join(directory, 'payload'), realHost);
      checkVmlinux(elf);
      await realHost.writeFileAtomic(join(directory, 'vmlinux'), elf, 0o644);
    },
  };
}
