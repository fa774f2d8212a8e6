import { createReadStream, createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import type { BuildOptions } from './build-options.ts';
import { hashOf } from './build-inputs.ts';
import { fetchKernel, kernelVersion, packInitramfs, readVmlinux } from './kernel.ts';
import type { KernelPackage } from './kernel.ts';
import { inNamespace } from './namespace.ts';
import { installPackages, packageProgress } from './root-packages.ts';
import type { PackageOrigin } from './root-packages.ts';
import type { BuildStep, StepOutput, StepResult } from './step-cache.ts';
import { INITRAMFS_MODULES } from './modules.ts';

/** What every step needs besides its inputs. */
export type BuildContext = BuildOptions & {
  userId: number;
  /** `images/debian` of the sources. */
  scripts: string;
};

/** Upper limit for the times of packages' files, 2026-01-01 (SOURCE_DATE_EPOCH), so that the images of two builds are mostly the same. */
const SOURCE_DATE_EPOCH = 1_767_225_600;

/** Compiles a C program. `BUILD` leaves the sources unwritten, because they may be on a read-only prefix. */
export function compileStep(context: BuildContext, folder: string, program: string, sourceHash: string): BuildStep {
  const { host, signal, onLog: onLine } = context;
  return {
    name: basename(folder),
    key: hashOf(program, sourceHash),
    outputs: [program],
    apply: async (directory) => {
      await host.run(['make', '-C', join(context.sourceRoot, folder), `BUILD=${directory}`], { signal, onLine, timeoutMs: 300_000 });
    },
  };
}

export function kernelStep(context: BuildContext, kernel: KernelPackage): BuildStep {
  return {
    name: 'kernel',
    key: hashOf(kernel.name, kernel.version, kernel.sha256),
    outputs: [],
    apply: async (directory) => {
      context.onProgress({ stage: 'kernel', text: `Fetching ${kernel.name} ${kernel.version}`, fraction: 0 });
      await fetchKernel(kernel, directory, context.host, { signal: context.signal, onLine: context.onLog });
    },
  };
}

export function vmlinuxStep(context: BuildContext, kernelTree: StepResult, kernel: KernelPackage): BuildStep {
  return {
    name: 'vmlinux',
    key: hashOf(kernel.sha256),
    outputs: ['vmlinux'],
    apply: async (directory) => {
      const elf = await readVmlinux(kernelTree.directory, join(directory, 'payload'), context.host, context.signal);
      await context.host.writeFileAtomic(join(directory, 'vmlinux'), elf, 0o644);
    },
  };
}

export function initramfsStep(context: BuildContext, kernelTree: StepResult, kernel: KernelPackage, agent: StepOutput): BuildStep {
  return {
    name: 'initramfs',
    key: hashOf(kernel.sha256, agent.sha256, INITRAMFS_MODULES.join()),
    outputs: ['initramfs.cpio'],
    apply: async (directory) => {
      const archive = await packInitramfs(kernelTree.directory, await readFile(agent.path), join(directory, 'module'), context.host);
      await context.host.writeFileAtomic(join(directory, 'initramfs.cpio'), archive, 0o644);
    },
  };
}

/** The slow step: fetches and installs everything. Customization is a separate step, so that changing a script does not repeat this one. */
export function packagesStep(context: BuildContext, origin: PackageOrigin, packages: readonly string[]): BuildStep {
  const { host, signal, scripts, userId } = context;
  return {
    name: 'packages',
    key: hashOf(origin.codename, origin.sources, ...origin.aptOptions, '', ...packages),
    outputs: ['root.tar'],
    apply: async (directory) => {
      const progressOf = packageProgress();
      const onLine = (line: string): void => {
        context.onLog(line);
        const progress = progressOf(line);
        if (progress !== undefined) context.onProgress({ stage: 'packages', ...progress });
      };
      const request = { origin, packages, scripts, sourceDateEpoch: SOURCE_DATE_EPOCH, userId };
      await installPackages(request, directory, host, { signal, onLine });
    },
  };
}

/** Root file system, work seed and modules; see `images/debian/assemble.sh`. */
export function assembleStep(
  context: BuildContext,
  kernelTree: StepResult,
  kernel: KernelPackage,
  rootTar: StepOutput,
  scriptsHash: string,
): BuildStep {
  const { host, scripts } = context;
  const key = hashOf(kernel.sha256, rootTar.sha256, scriptsHash, String(SOURCE_DATE_EPOCH));
  return {
    name: 'image',
    key,
    outputs: ['rootfs.ext4', 'work-seed.ext4', 'modules.tar.zst', 'packages.txt'],
    apply: async (directory) => {
      const mountPoint = join(directory, 'mount');
      await host.makePrivateDirectory(mountPoint);
      const version = await kernelVersion(kernelTree.directory);
      const argv = [
        ...['env', `SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`, 'sh', join(scripts, 'assemble.sh'), mountPoint, rootTar.path],
        ...[kernelTree.directory, version, join(scripts, 'customize'), directory, uuidOf(key)],
      ];
      const onLine = (line: string): void => {
        context.onLog(line);
        const said = /^assemble: (.+)$/.exec(line)?.[1];
        if (said !== undefined) context.onProgress({ stage: 'image', text: said, fraction: 0 });
      };
      await host.run(inNamespace(context.userId, argv), { signal: context.signal, onLine, timeoutMs: 900_000 });
      const tar = join(directory, 'modules.tar');
      await pipeline(createReadStream(tar), createZstdCompress(), createWriteStream(`${tar}.zst`), { signal: context.signal });
      await host.removeTree(tar);
    },
  };
}

/** @returns a UUID (version 8: custom, RFC 9562) from the beginning of a hash, so that builds of the same inputs have the same UUID */
function uuidOf(hash: string): string {
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}
