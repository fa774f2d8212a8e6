import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { addPrograms, requireManifest } from './add-programs.ts';
import { download } from './download.ts';
import { type Release, unpackRelease } from './release.ts';

export type FetchOptions = {
  release: Release;
  /** The bundle, which must exist. */
  directory: string;
  /** For the archive, which is kept, and for unpacked files. */
  cacheDirectory: string;
  host: Host;
  signal: AbortSignal;
  /** Called when one of `download`, `unpack`, `publish` begins. */
  onStage: (stage: 'download' | 'unpack' | 'publish') => void;
  onProgress: (text: string, fraction: number | undefined) => void;
};

/**
 * Puts the official Firecracker and its jailer into the bundle: downloads and verifies them, and only then unpacks and runs them.
 * @throws DOWNLOAD_FAILED, BUNDLE_MISSING, PREREQUISITE_MISSING, CANCELLED; then the bundle stays as it was
 */
export async function fetchFirecracker(options: FetchOptions): Promise<void> {
  const { release, directory, cacheDirectory, host, signal } = options;
  await requireManifest(directory, host);
  await host.makePrivateDirectory(cacheDirectory);
  const archive = join(cacheDirectory, `firecracker-${release.sha256.slice(0, 12)}.tgz`);
  options.onStage('download');
  let shown = 0;
  await download({
    ...{ release, path: archive, host, signal },
    onProgress: (fraction, bytes) => {
      const mebibytes = Math.floor(bytes / 1024 ** 2);
      if (mebibytes > shown) options.onProgress(`${(shown = mebibytes)} MiB`, fraction);
    },
  });
  const unpacked = `${archive}.unpacked`;
  try {
    await host.removeTree(unpacked);
    await host.makePrivateDirectory(unpacked);
    options.onStage('unpack');
    const programs = await unpackRelease(archive, unpacked, signal);
    options.onStage('publish');
    await addPrograms({ directory, programs, host, signal });
  } finally {
    await host.removeTree(unpacked);
  }
}
