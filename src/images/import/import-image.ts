import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Host } from '../../host/host.ts';
import { formatSize } from '../../lib/size.ts';
import type { Image } from '../../model/image.ts';
import { type Archive, directoryArchive, indexTar, tarArchive } from './archive.ts';
import { assemble, checkAssembling, checkMemory } from './assemble.ts';
import { Allowance, partOfFile } from './bytes.ts';
import { type ContainerImage, readContainer } from './container.ts';
import { initSystemOf } from './init-system.ts';
import { type Layer, mergeLayers, packTree, textAt, type Texts } from './layers.ts';
import { refusal, unreadable } from './problem.ts';
import { notesOf } from './notes.ts';
import { runFilesLayer } from './run-files.ts';
import { Tree } from './tree.ts';
import { withoutXz } from './xz.ts';

export type ImportRequest = {
  /** Absolute: a tar, plain or compressed by gzip, zstd or xz, or the directory of an OCI layout. */
  path: string;
  /** Which of several images to take. */
  reference: string | undefined;
  /** Modules of the kernel for images with an init; containers need only those in the initramfs. */
  modulesPath: string | null;
  /** Working directory; the caller empties it. */
  scratch: string;
  rootfs: string;
  workSeed: string;
  host: Host;
  signal: AbortSignal;
  onProgress: (text: string) => void;
  onLog: (line: string) => void;
};

/** Facts about the image once its files exist. */
export type ImportedFacts = Pick<Image, 'initSystem' | 'distribution' | 'entrypoint' | 'env' | 'user' | 'workdir' | 'stopSignal' | 'notes'>;

/** The share of the free space that an archive may fill: the file system is written beside it. */
const SPACE_SHARE = 0.4;

/**
 * Makes a root file system and a work seed from a foreign image. Its content is only ever read as data: paths are checked and compared
 * here, and unpacked where they cannot reach anything.
 * @throws INVALID_INPUT for a refused image, PREREQUISITE_MISSING, NO_SPACE
 */
export async function importImage(given: ImportRequest): Promise<ImportedFacts> {
  const { host, signal, onProgress, scratch } = given;
  await checkAssembling(host);
  await host.makePrivateDirectory(scratch);
  const mostBytes = Math.floor((await host.freeBytes(scratch)) * SPACE_SHARE);
  const makeAllowance = (): Allowance => new Allowance(mostBytes);
  onProgress('looking at it');
  const found = await lookAt(given.path);
  const path = found.isFile() ? await withoutXz(given.path, { scratch: `${scratch}/unpacked.tar`, mostBytes, host, signal }) : given.path;
  const request = { ...given, path };
  const container = await recognise(request, makeAllowance);
  const layers = container?.layers ?? [plainLayer(request.path, (await stat(request.path)).size)];
  onProgress(`reading ${layers.length === 1 ? 'the archive' : `${layers.length} layers`}`);
  const merged = { tree: new Tree(), texts: new Map<string, string>() };
  const { tree } = merged;
  await mergeLayers(merged, layers, { makeAllowance, signal });
  const entrypoint = container === undefined || container.config.entrypoint.length === 0 ? null : container.config.entrypoint;
  const initSystem = initSystemOf(tree, entrypoint);
  if (initSystem !== 'none' && request.modulesPath !== null) {
    layers.push(await modulesLayer(tree, request.modulesPath));
    await mergeLayers(merged, layers, { makeAllowance, signal, from: layers.length - 1 });
  }
  const runFiles = container === undefined ? undefined : runFilesLayer(merged, container.config);
  if (runFiles !== undefined) {
    layers.push(runFiles);
    await mergeLayers(merged, layers, { makeAllowance, signal, from: layers.length - 1 });
  }
  const treeBytes = await checkMemory(tree, host);
  onProgress(`writing ${tree.nodes.size} entries, ${formatSize(contentBytes(tree))}`);
  const archive = packTree(tree, layers, makeAllowance, signal);
  await assemble({ ...request, archive, tree, treeBytes });
  const { env, user, workdir, stopSignal } = container?.config ?? { env: {}, user: null, workdir: null, stopSignal: null };
  const notes = notesOf(merged, { initSystem, config: container?.config });
  return { initSystem, distribution: distributionOf(merged), entrypoint, env, user, workdir, stopSignal, notes };
}

async function recognise(request: ImportRequest, makeAllowance: () => Allowance): Promise<ContainerImage | undefined> {
  const { path, reference, scratch, signal } = request;
  const choice = { reference, architecture: process.arch === 'x64' ? 'amd64' : process.arch };
  const found = await lookAt(path);
  if (found.isDirectory()) {
    const container = await readContainer(directoryArchive(path), choice, signal);
    if (container === undefined)
      throw refusal(`${path} is a directory without an OCI layout`, `tar -C ${path} -c . | banger image import - --name NAME`);
    return container;
  }
  if (!found.isFile()) throw refusal(`${path} is neither a file nor a directory`, `ls -l ${path}`);
  const index = await indexTar(path, makeAllowance(), signal);
  if (!['manifest.json', 'index.json'].some((name) => index.files.has(name))) return undefined;
  const archive: Archive = await tarArchive(index, path, `${scratch}/archive.tar`, makeAllowance(), signal);
  return readContainer(archive, choice, signal);
}

function lookAt(path: string): Promise<Stats> {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error.code);
  });
}

function plainLayer(path: string, sizeBytes: number): Layer {
  return { source: partOfFile(path, path.slice(path.lastIndexOf('/') + 1), 0, sizeBytes), isLayer: false };
}

/** Their path depends on the image: `lib` is a link in most present systems. */
async function modulesLayer(tree: Tree, path: string): Promise<Layer> {
  const source = partOfFile(path, 'modules', 0, (await stat(path)).size);
  return { source, isLayer: false, prefix: tree.at('lib')?.type === 'symlink' ? 'usr/' : '' };
}

/** @returns `ID VERSION_ID` of os-release(5), with harmless characters only */
function distributionOf(image: { tree: Tree; texts: Texts }): string {
  const text = textAt(image, 'etc/os-release') ?? textAt(image, 'usr/lib/os-release') ?? '';
  const value = (name: string): string => new RegExp(`^${name}=["']?([A-Za-z0-9._-]{1,40})`, 'm').exec(text)?.[1] ?? '';
  return [value('ID'), value('VERSION_ID')].filter((word) => word !== '').join(' ') || 'unknown';
}

function contentBytes(tree: Tree): number {
  return [...new Set(tree.nodes.values())].reduce((sum, { type, entry }) => sum + (type === 'file' ? entry.sizeBytes : 0), 0);
}
