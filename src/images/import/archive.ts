// A set of named files: a directory, or a tar that is read in place.
import { open, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { readTar, TarProblem } from '../../lib/tar.ts';
import { type Allowance, type ByteSource, decompressed, isCompressed, partOfFile } from './bytes.ts';
import { refusal } from './problem.ts';
import { cleanPath, MOST_ENTRIES } from './tree.ts';

export type Archive = {
  /** @returns the file of that name; undefined if there is none */
  file(name: string): Promise<ByteSource | undefined>;
};

/** A tar with the positions of its files, some of which show what kind of image it is. */
export type TarIndex = { source: ByteSource; compressed: boolean; files: ReadonlyMap<string, { at: number; sizeBytes: number }> };

/** @param directory absolute */
export function directoryArchive(directory: string): Archive {
  return {
    async file(name) {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      return found?.isFile() === true ? partOfFile(path, name, 0, found.size) : undefined;
    },
  };
}

/** @throws INVALID_INPUT if it is no tar */
export async function indexTar(path: string, allowance: Allowance, signal: AbortSignal): Promise<TarIndex> {
  const { size } = await stat(path);
  const source = partOfFile(path, posix.basename(path), 0, size);
  const files = new Map<string, { at: number; sizeBytes: number }>();
  const links: [name: string, target: string][] = [];
  let entries = 0;
  try {
    await readTar(decompressed(source, allowance, signal), {
      entry: async (entry, at) => {
        entries += 1;
        if (entries > MOST_ENTRIES) throw refusal(`it has more than ${MOST_ENTRIES} entries`, 'import a smaller one');
        const name = entry.path.replace(/^\.\//, '');
        if (entry.type === 'file') files.set(name, { at, sizeBytes: entry.sizeBytes });
        // docker save writes a layer that two images share once, and a link for the other.
        if (entry.type === 'symlink') links.push([name, posix.join(posix.dirname(name), entry.linkPath)]);
      },
      content: async () => undefined,
      entryEnd: async () => undefined,
    });
  } catch (error) {
    if (error instanceof TarProblem) throw refusal(`${source.name} is no tar: ${error.message}`);
    throw error;
  }
  if (entries === 0) throw refusal(`${source.name} is empty, or no tar`);
  for (const [name, target] of links) {
    const found = files.get(target);
    if (found !== undefined && !files.has(name)) files.set(name, found);
  }
  return { source, compressed: await isCompressed(source, signal), files };
}

/**
 * @param scratch where a compressed archive is unpacked, so that its parts can be read in any order
 * @returns the files of an indexed tar
 */
export async function tarArchive(
  index: TarIndex,
  path: string,
  scratch: string,
  allowance: Allowance,
  signal: AbortSignal,
): Promise<Archive> {
  const plain = index.compressed ? await unpackTo(scratch, index.source, allowance, signal) : path;
  return {
    async file(name) {
      const found = index.files.get(name) ?? index.files.get(cleanPath(name, 'file'));
      return found === undefined ? undefined : partOfFile(plain, name, found.at, found.sizeBytes);
    },
  };
}

async function unpackTo(path: string, source: ByteSource, allowance: Allowance, signal: AbortSignal): Promise<string> {
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of decompressed(source, allowance, signal)) await file.write(chunk);
  } finally {
    await file.close();
  }
  return path;
}
