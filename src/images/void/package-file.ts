// A package: a tar of ./INSTALL, ./REMOVE, ./props.plist and ./files.plist, then the files (xbps-create(1)).
import { stat } from 'node:fs/promises';
import { readTar, type TarEntry, TarProblem, type TarSink } from '../../lib/tar.ts';
import { type Allowance, type ByteSource, decompressed, partOfFile } from '../import/bytes.ts';
import { parseDictionary, PlistProblem } from './plist.ts';
import { distrust, ofRepository } from './problem.ts';
import type { IndexedPackage } from './repository.ts';

/** Metadata in front of the files, which is not part of the system. */
export const METADATA: ReadonlySet<string> = new Set(['./INSTALL', './REMOVE', './props.plist', './files.plist']);
/** The number of files in the largest package of all, a kernel's. */
const MOST_METADATA_BYTES = 16 * 1024 ** 2;

export type PackageFile = {
  one: IndexedPackage;
  source: ByteSource;
  /** Installed as a dependency only. */
  automatic: boolean;
  /** Scripts that xbps runs as `SCRIPT pre|post NAME VERSION …`. */
  install: Buffer | undefined;
  remove: Buffer | undefined;
  /** files.plist, as xbps stores it. */
  files: Buffer;
  /** Every file and link of the package, as the tar has them. */
  paths: string[];
};

/**
 * Reads a package whose signature is right.
 * @throws DOWNLOAD_FAILED if it is another package than the index says, or damaged
 */
export async function readPackage(
  { one, path, automatic }: { one: IndexedPackage; path: string; automatic: boolean },
  allowance: Allowance,
  signal: AbortSignal,
): Promise<PackageFile> {
  const source = partOfFile(path, one.pkgver, 0, (await stat(path)).size);
  const found = { metadata: new Map<string, Buffer>(), paths: [] as string[] };
  try {
    await readTar(decompressed(source, allowance, signal), sinkInto(one, found));
    const [props, files] = [found.metadata.get('./props.plist'), found.metadata.get('./files.plist')];
    if (props === undefined || files === undefined) throw distrust(`${one.pkgver} is not an xbps package`);
    // The key signs all packages, so an older or another package must not pass for this one.
    const says = parseDictionary(props.toString('utf8')).get('pkgver');
    if (says !== one.pkgver) throw distrust(`the package ${one.pkgver} says that it is ${JSON.stringify(says)?.slice(0, 80)}`);
    parseDictionary(files.toString('utf8'));
    const { metadata, paths } = found;
    return { one, source, automatic, install: metadata.get('./INSTALL'), remove: metadata.get('./REMOVE'), files, paths };
  } catch (error) {
    if (error instanceof PlistProblem || error instanceof TarProblem) throw distrust(`${one.pkgver}: ${error.message}`);
    throw ofRepository(error, one.pkgver);
  }
}

function sinkInto({ pkgver }: IndexedPackage, found: { metadata: Map<string, Buffer>; paths: string[] }): TarSink {
  let present: { name: string; chunks: Buffer[] } | undefined;
  return {
    entry: async (entry: TarEntry) => {
      present = undefined;
      if (entry.path.startsWith('/')) throw distrust(`an entry of ${pkgver} begins at the root`);
      if (entry.type === 'fifo') throw distrust(`an entry of ${pkgver} is a named pipe`);
      if (!METADATA.has(entry.path)) return void (entry.type === 'directory' ? undefined : found.paths.push(entry.path));
      if (entry.type !== 'file' || entry.sizeBytes > MOST_METADATA_BYTES || found.metadata.has(entry.path) || found.paths.length > 0)
        throw distrust(`${pkgver} has a ${entry.path} that cannot be one`);
      present = { name: entry.path, chunks: [] };
    },
    content: async (bytes) => void present?.chunks.push(Buffer.from(bytes)),
    entryEnd: async () => {
      if (present !== undefined) found.metadata.set(present.name, Buffer.concat(present.chunks));
    },
  };
}
