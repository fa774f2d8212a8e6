import { chmod, link, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import type { AddedProgram, BundleFile, BundleManifest, BundlePart } from '../../model/image.ts';
import { MANIFEST_NAME } from './manifest.ts';
import type { StepOutput } from './step-cache.ts';

/** Name before and after the digest, and mode, of each built or added part; the key has fixed names. */
const NAMES: Readonly<Record<Exclude<BundlePart, 'sshPrivateKey' | 'sshPublicKey'> | AddedProgram, readonly [string, string, number]>> = {
  agent: ['banger-agent', '', 0o755],
  forwarder: ['banger-forwarder', '', 0o755],
  kernel: ['vmlinux', '', 0o644],
  initramfs: ['initramfs', '.cpio', 0o644],
  modules: ['modules', '.tar.zst', 0o644],
  rootfs: ['rootfs', '.ext4', 0o644],
  workSeed: ['work-seed', '.ext4', 0o644],
  firecracker: ['firecracker', '', 0o755],
  jailer: ['jailer', '', 0o755],
};
export type BuiltPart = keyof typeof NAMES;

/**
 * @returns the file's name in a bundle. It contains the digest, so that a new build never overwrites a file from which a VM still boots.
 */
export function publishedName(part: BuiltPart, sha256: string): string {
  const [stem, ending] = NAMES[part];
  return `${stem}-${sha256.slice(0, 12)}${ending}`;
}

/**
 * Puts a built file into the bundle under its own name: as a clone or a hard link of the cached file, as a sparse copy only across file
 * systems. Existing files of a bundle stay as they are.
 */
export async function publishPart(part: BuiltPart, output: StepOutput, directory: string, host: Host): Promise<BundleFile> {
  const path = publishedName(part, output.sha256);
  const target = join(directory, path);
  const file = { path, sizeBytes: output.sizeBytes, sha256: output.sha256 };
  // The existing file may be damaged, and publishing repairs it.
  if ((await host.exists(target)) && (await host.sha256File(target)) === output.sha256) return file;
  const partial = `${target}.partial`;
  await host.removeTree(partial);
  try {
    if (!(await host.reflink(output.path, partial)) && !(await hardLink(output.path, partial))) {
      await host.run(['cp', '--sparse=always', '--', output.path, partial], { timeoutMs: 900_000 });
    }
    await chmod(partial, NAMES[part][2]);
    await rename(partial, target);
  } catch (error) {
    await host.removeTree(partial);
    throw error;
  }
  return file;
}

async function hardLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (['EXDEV', 'EPERM', 'EMLINK', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/**
 * @returns the installation's SSH key, made on first use and kept by every later build, because VMs know it
 * @param comment of the public key
 */
export async function ensureSshKey(
  directory: string,
  comment: string,
  host: Host,
): Promise<{ sshPrivateKey: BundleFile; sshPublicKey: BundleFile }> {
  const path = join(directory, 'id_ed25519');
  if (!(await host.exists(path)) || !(await host.exists(`${path}.pub`))) {
    const partial = `${path}.partial`;
    await Promise.all([host.removeTree(partial), host.removeTree(`${partial}.pub`)]);
    await host.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', partial]);
    await rename(`${partial}.pub`, `${path}.pub`);
    await rename(partial, path);
  }
  return {
    sshPrivateKey: await describeFile(directory, 'id_ed25519', host),
    sshPublicKey: await describeFile(directory, 'id_ed25519.pub', host),
  };
}

async function describeFile(directory: string, path: string, host: Host): Promise<BundleFile> {
  const absolute = join(directory, path);
  return { path, sizeBytes: (await host.fileSize(absolute)).bytes, sha256: await host.sha256File(absolute) };
}

/** The last act of a build: it makes the new files the bundle. */
export async function publishManifest(directory: string, manifest: BundleManifest, host: Host): Promise<void> {
  await host.writeFileAtomic(join(directory, MANIFEST_NAME), `${JSON.stringify(manifest, null, 2)}\n`, 0o644);
}

/** @returns absolute paths of built files in the bundle's directory that `manifest` no longer names */
export async function supersededFiles(directory: string, manifest: BundleManifest): Promise<string[]> {
  const named = new Set(Object.values(manifest.files).map((file) => file?.path));
  const built = new RegExp(
    `^(${Object.values(NAMES)
      .map(([stem]) => stem)
      .join('|')})-[0-9a-f]{12}(\\.|$)`,
  );
  const names = await readdir(directory);
  return names.filter((name) => built.test(name) && !named.has(name)).map((name) => join(directory, name));
}
