// Turns downloaded packages into a kernel with initramfs and modules, and a root file system that a VM can configure.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import type { Host } from '../../host/host.ts';
import { formatSize } from '../../lib/size.ts';
import { packInitramfs, readVmlinux } from '../bundle/kernel.ts';
import type { SystemFacts, SystemRequest } from '../distribution.ts';
import { assemble, checkMemory } from '../import/assemble.ts';
import { Allowance } from '../import/bytes.ts';
import { initSystemOf } from '../import/init-system.ts';
import { type Layer, mergeLayers, packTree } from '../import/layers.ts';
import { Tree } from '../import/tree.ts';
import { withoutXz } from '../import/xz.ts';
import { renderBooks } from './database.ts';
import type { TrustedRepository } from './fetch-packages.ts';
import { packDirectory, unpackKernel } from './kernel-tree.ts';
import { METADATA, type PackageFile, readPackage } from './package-file.ts';
import { distrust, ofRepository } from './problem.ts';
import type { Chosen } from './resolve.ts';

export type VoidSystem = Omit<SystemRequest, 'kernel'> & {
  host: Host;
  agentPath: string;
  /** In the order of installation. */
  packages: readonly (Chosen & { path: string })[];
  /** The package of the kernel, and its target. */
  kernel: { name: string; path: string };
  repository: TrustedRepository;
  /** The mirror for the guest; null: the mirror is a directory of this host. */
  mirror: string | null;
};

/** The share of the free space that the packages may fill: the file system is written beside it. */
const SPACE_SHARE = 0.4;

export async function assembleSystem(system: VoidSystem): Promise<SystemFacts> {
  const { host, scratch, onProgress } = system;
  await host.makePrivateDirectory(scratch);
  const mostBytes = Math.floor((await host.freeBytes(scratch)) * SPACE_SHARE);
  const makeAllowance = (): Allowance => new Allowance(mostBytes);
  onProgress('reading the packages');
  const packages = await readPackages(system, mostBytes);
  const agent = await readFile(system.agentPath);
  const kernelVersion = await writeKernel(system, packages, agent, makeAllowance);
  const initSystem = await writeRoot(system, packages, makeAllowance);
  await host.removeTree(unpackedOf(system));
  const agentSha256 = createHash('sha256').update(agent).digest('hex');
  return { distribution: 'void', initSystem, kernelVersion, agentSha256 };
}

/** Where to unpack packages that were packed with xz, as all were until 2020. */
const unpackedOf = ({ scratch }: VoidSystem): string => `${scratch}/unpacked`;

async function readPackages(system: VoidSystem, mostBytes: number): Promise<PackageFile[]> {
  const { host, signal } = system;
  await host.makePrivateDirectory(unpackedOf(system));
  const allowance = new Allowance(mostBytes);
  const packages: PackageFile[] = [];
  for (const choice of system.packages) {
    const scratch = `${unpackedOf(system)}/${choice.one.name}`;
    const path = await withoutXz(choice.path, { scratch, mostBytes, host, signal }).catch((error: unknown) => {
      throw ofRepository(error, choice.one.pkgver);
    });
    packages.push(await readPackage({ ...choice, path }, allowance, signal));
  }
  return packages;
}

/** @returns uname -r */
async function writeKernel(
  system: VoidSystem,
  packages: readonly PackageFile[],
  agent: Uint8Array,
  makeAllowance: () => Allowance,
): Promise<string> {
  const { host, signal, scratch, onProgress } = system;
  const kernel = packages.find(({ one }) => one.name === system.kernel.name);
  if (kernel === undefined) throw distrust(`${system.kernel.name} is not among its packages`);
  onProgress(`unpacking ${kernel.one.pkgver}`);
  const tree = `${scratch}/kernel`;
  await host.makePrivateDirectory(tree);
  const version = await unpackKernel(kernel, tree, makeAllowance(), signal);
  await host.writeFileAtomic(system.kernel.path, await readVmlinux(tree, `${scratch}/payload`, host, signal), 0o644);
  const initramfs = await packInitramfs(tree, agent, `${scratch}/module`, host);
  await host.writeFileAtomic(system.initramfs, initramfs, 0o644);
  await pipeline(packDirectory(tree, `lib/modules/${version}`), createZstdCompress(), createWriteStream(system.modules), { signal });
  await host.removeTree(tree);
  return version;
}

async function writeRoot(
  system: VoidSystem,
  packages: readonly PackageFile[],
  makeAllowance: () => Allowance,
): Promise<SystemFacts['initSystem']> {
  const { host, signal, scratch, rootfs, workSeed, onLog, onProgress, repository } = system;
  const { key } = repository;
  const books = renderBooks({ packages, key, repository, mirror: system.mirror, installedAt: new Date() });
  const layers = [...packages.map(({ source }): Layer => ({ source, isLayer: false, omit: METADATA })), memoryLayer(books)];
  const merged = { tree: new Tree(), texts: new Map<string, string>() };
  const { tree } = merged;
  await mergeLayers(merged, layers, { makeAllowance, signal }).catch((error: unknown) => {
    throw ofRepository(error, 'its packages');
  });
  refuseOverlaps(tree, packages);
  const treeBytes = await checkMemory(tree, host);
  onProgress(`writing ${tree.nodes.size} entries, ${formatSize(packages.reduce((sum, { one }) => sum + one.installedBytes, 0))}`);
  const archive = packTree(tree, layers, makeAllowance, signal);
  await assemble({ archive, tree, treeBytes, scratch, rootfs, workSeed, host, signal, onLog });
  return initSystemOf(tree, null);
}

function memoryLayer(bytes: Buffer): Layer {
  const source = {
    name: 'package database',
    sizeBytes: bytes.length,
    async *open(): AsyncGenerator<Buffer> {
      yield bytes;
    },
  };
  return { source, isLayer: false };
}

/** As in xbps: no package may replace a file of another one, by a file of the same name or by a link instead of its directory. */
function refuseOverlaps(tree: Tree, packages: readonly PackageFile[]): void {
  for (const [at, { one, paths }] of packages.entries()) {
    for (const path of paths) {
      const node = tree.at(path.replace(/^\.\//, ''));
      if (node?.layer === at) continue;
      const other = node === undefined ? undefined : packages[node.layer];
      throw distrust(
        `${JSON.stringify(path.slice(0, 120))} of ${one.pkgver} clashes with ${other?.one.pkgver ?? 'what lies there besides'}`,
      );
    }
  }
}
