// Takes the kernel and its modules out of the package, to where images/bundle/kernel.ts looks for those of any distribution.
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readTar } from '../../lib/tar.ts';
import { type Allowance, decompressed } from '../import/bytes.ts';
import { cleanPath } from '../import/tree.ts';
import type { PackageFile } from './package-file.ts';
import { distrust } from './problem.ts';

/**
 * @param tree an existing directory; gets `boot/vmlinuz-VERSION` and `lib/modules/VERSION`
 * @returns the version, uname -r
 * @throws DOWNLOAD_FAILED when the package holds no kernel, or several
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
