// Moves the kernel and its modules from the package to the place where images/bundle/kernel.ts expects them for every distribution.
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { encodeTarHeader, readTar, tarEnd, tarPadding } from '../../lib/tar.ts';
import { type Allowance, decompressed } from '../import/bytes.ts';
import { cleanPath } from '../import/tree.ts';
import type { PackageFile } from './package-file.ts';
import { distrust } from './problem.ts';

/**
 * @param tree an existing directory; gets `boot/vmlinuz-VERSION` and `lib/modules/VERSION`
 * @returns the version, uname -r
 * @throws DOWNLOAD_FAILED if the package contains no kernel, or several
 */
export async function unpackKernel(
  { one, source, paths }: PackageFile,
  tree: string,
  allowance: Allowance,
  signal: AbortSignal,
): Promise<string> {
  const versions = paths.flatMap((path) => /^\.\/boot\/vmlinuz-([\w.+-]{1,80})$/.exec(path)?.[1] ?? []);
  const [version] = versions;
  if (version === undefined || versions.length > 1) throw distrust(`${one.pkgver} has ${versions.length} kernels`);
  const modules = `usr/lib/modules/${version}/`;
  if (!paths.some((path) => path.startsWith(`./${modules}kernel/`))) throw distrust(`the kernel of ${one.pkgver} has no modules`);
  let file: FileHandle | undefined;
  try {
    await readTar(decompressed(source, allowance, signal), {
      entry: async (entry) => {
        const path = cleanPath(entry.path, entry.type);
        if (entry.type !== 'file' || (path !== `boot/vmlinuz-${version}` && !path.startsWith(modules))) return;
        const target = join(tree, path.replace(/^usr\//, ''));
        await mkdir(dirname(target), { recursive: true });
        file = await open(target, 'wx', 0o644);
      },
      content: async (bytes) => {
        await file?.writeFile(bytes);
      },
      entryEnd: async () => {
        await file?.close();
        file = undefined;
      },
    });
  } finally {
    await file?.close();
  }
  return version;
}

/** @returns an archive of a folder of `tree` that `unpackKernel` has written: files and directories owned by root, sorted by name */
export async function* packDirectory(tree: string, folder: string): AsyncGenerator<Buffer> {
  const below = await readdir(join(tree, folder), { recursive: true, withFileTypes: true });
  const paths = below.map((entry) => ({ path: join(entry.parentPath, entry.name).slice(tree.length + 1), isFile: entry.isFile() }));
  for (const { path, isFile } of [{ path: folder, isFile: false }, ...paths].toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const { size, mtimeMs: modifiedMs } = await stat(join(tree, path));
    const entry = { path, modifiedMs, linkPath: '' };
    if (isFile) yield encodeTarHeader({ ...entry, type: 'file', mode: 0o644, sizeBytes: size });
    else yield encodeTarHeader({ ...entry, type: 'directory', mode: 0o755, sizeBytes: 0 });
    if (!isFile) continue;
    yield* createReadStream(join(tree, path)) as AsyncIterable<Buffer>;
    yield tarPadding(size);
  }
  yield tarEnd();
}
