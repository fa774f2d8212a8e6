import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import type { BundleManifest, PackedManifest } from '../../model/image.ts';
import { keptPrograms } from './add-programs.ts';
import { download, readBytes } from './download.ts';
import { parsePackageManifest } from './package-manifest.ts';
import { ensureSshKey, publishManifest, publishPart, publishedName, supersededFiles } from './publish.ts';
import type { Release } from './release.ts';
import { type PackedPart, type Unpacked, unpackBundle } from './unpack-bundle.ts';

const MAX_MANIFEST_BYTES = 64 * 1024;

export type FetchBundleOptions = {
  /** http, https or file address of a `runtime-bundle.toml`. */
  manifestUrl: string;
  /** The SHA-256 of that file, hex; default: any file from that address is accepted. */
  manifestSha256?: string;
  /** The bundle's directory, which may not exist yet. */
  directory: string;
  /** For the part of the archive so far, from which a later call continues, and for unpacked files. */
  cacheDirectory: string;
  host: Host;
  signal: AbortSignal;
  /** Called when one of these begins. */
  onStage: (stage: 'manifest' | 'download' | 'unpack' | 'publish') => void;
  onProgress: (text: string, fraction: number | undefined) => void;
};

/**
 * Puts a packaged bundle into `directory`. The archive and every part of it are verified before the bundle is touched, and the present
 * bundle stays valid until the new `bundle.json` replaces the old one.
 * @returns absolute paths of files of the former bundle; VMs may still need them
 * @throws DOWNLOAD_FAILED, BUNDLE_BROKEN, UNSUPPORTED, NO_SPACE, CANCELLED; then the bundle stays as it was
 */
export async function fetchBundle(options: FetchBundleOptions): Promise<{ superseded: string[] }> {
  const { manifestUrl, cacheDirectory, host, signal } = options;
  try {
    options.onStage('manifest');
    const release = parsePackageManifest(await readManifest(options), manifestUrl);
    await host.makePrivateDirectory(cacheDirectory);
    await requireSpace(release, cacheDirectory, host);
    const archive = join(cacheDirectory, `bundle-${release.sha256.slice(0, 12)}.tar.zst`);
    options.onStage('download');
    await download({ release, path: archive, host, signal, onProgress: mebibytesTo(options.onProgress) });
    const staging = join(cacheDirectory, 'unpacked');
    try {
      // Leftovers of a killed call.
      await host.removeTree(staging);
      await host.makePrivateDirectory(staging);
      options.onStage('unpack');
      const unpacked = await unpackBundle(archive, staging, signal);
      options.onStage('publish');
      const manifest = await publish(unpacked, options);
      await host.removeTree(archive);
      return { superseded: await supersededFiles(options.directory, manifest) };
    } finally {
      await host.removeTree(staging);
    }
  } catch (error) {
    throw asFetchError(error, options);
  }
}

async function readManifest({ manifestUrl, manifestSha256: expected, signal }: FetchBundleOptions): Promise<string> {
  const bytes = await readBytes(manifestUrl, MAX_MANIFEST_BYTES, signal);
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (expected === undefined || actual === expected) return bytes.toString('utf8');
  throw new BangerError('DOWNLOAD_FAILED', `${manifestUrl} has the wrong content: its SHA-256 is ${actual}, not ${expected}`, {
    remedy: 'check the address and the checksum; nothing was changed',
    details: { url: manifestUrl, expected, actual },
  });
}

async function requireSpace(release: Required<Release>, directory: string, host: Host): Promise<void> {
  const free = await host.freeBytes(directory);
  if (free < release.sizeBytes) {
    throw new BangerError('NO_SPACE', `the archive has ${release.sizeBytes} bytes, and ${directory} has room for ${free}`, {
      remedy: `df -h ${directory}`,
    });
  }
}

/** A line for every MiB is enough for people. */
function mebibytesTo(tell: FetchBundleOptions['onProgress']): (fraction: number | undefined, bytes: number) => void {
  let shown = 0;
  return (fraction, bytes) => {
    const mebibytes = Math.floor(bytes / 1024 ** 2);
    if (mebibytes > shown) tell(`${(shown = mebibytes)} MiB`, fraction);
  };
}

async function publish({ manifest, paths }: Unpacked, options: FetchBundleOptions): Promise<BundleManifest> {
  const { directory, host, signal, onProgress } = options;
  await host.makePrivateDirectory(directory);
  const before = new Set(await readdir(directory));
  const published: string[] = [];
  try {
    const files: Partial<Record<PackedPart, object>> = {};
    for (const [part, path] of paths) {
      signal.throwIfAborted();
      onProgress(part, published.length / paths.size);
      const { sizeBytes, sha256, ...version } = manifest.files[part] ?? unknownPart(part);
      published.push(publishedName(part, sha256));
      files[part] = { ...version, ...(await publishPart(part, { path, sizeBytes, sha256 }, directory, host)) };
    }
    const whole: BundleManifest = {
      ...manifest,
      files: {
        ...(await keptPrograms(directory, host)),
        ...(files as PackedManifest['files']),
        ...(await ensureSshKey(directory, 'banger', host)),
      },
    };
    signal.throwIfAborted();
    await publishManifest(directory, whole, host);
    return whole;
  } catch (error) {
    for (const name of published) if (!before.has(name)) await host.removeTree(join(directory, name));
    throw error;
  }
}

function unknownPart(part: string): never {
  throw new BangerError('INTERNAL', `an archive without ${part} was taken for complete`);
}

function asFetchError(error: unknown, { signal, directory }: FetchBundleOptions): unknown {
  if (error instanceof BangerError) return error;
  if (signal.aborted) return new BangerError('CANCELLED', 'the download was cancelled; the next one continues it', { cause: error });
  if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') return error;
  return new BangerError('NO_SPACE', 'no space left for the bundle', { remedy: `df -h ${directory}`, cause: error });
}
