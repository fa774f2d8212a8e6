import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import type { Host } from '../../host/host.ts';
import { encodeTarHeader, tarEnd, tarPadding } from '../../lib/tar.ts';
import { BangerError } from '../../model/errors.ts';
import type { Bundle, BundleFile, PackedManifest } from '../../model/image.ts';
import { BUNDLE_REMEDY, MANIFEST_NAME } from './manifest.ts';
import { PACKAGE_MANIFEST_NAME, renderPackageManifest } from './package-manifest.ts';

/** For people: `sha256sum -c SHA256SUMS` in an unpacked archive. */
export const CHECKSUMS_NAME = 'SHA256SUMS';
const CHUNK_BYTES = 1024 ** 2;
/** Measured on a bundle of 0.4 GiB: level 6 takes twice the time of 3 and saves a tenth. */
const ZSTD_LEVEL = 6;

export type PackageOptions = {
  bundle: Bundle;
  /** Absolute path of the archive; the manifest goes beside it. Existing files are replaced. */
  path: string;
  /** The address where the archive will be published; default: beside the manifest, wherever that is. */
  url?: string;
  host: Host;
  signal: AbortSignal;
  onProgress: (text: string, fraction: number) => void;
};

/**
 * Archives a bundle: `bundle.json` first, then checksums for people, then the parts, as a tar compressed by zstd. The SSH key is not
 * included: each installation makes its own. Every part is verified while it is read.
 * @throws BUNDLE_BROKEN if a part differs from the build's result; then `path` stays as it was
 */
export async function packageBundle(options: PackageOptions): Promise<{ manifestPath: string }> {
  const { path, host, signal } = options;
  const partial = `${path}.partial`;
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 };
  try {
    const target = createWriteStream(partial, { mode: 0o644, flush: true });
    await pipeline(archiveOf(options), createZstdCompress({ params, chunkSize: CHUNK_BYTES }), tap, target, { signal });
    const manifestPath = join(dirname(path), PACKAGE_MANIFEST_NAME);
    await rename(partial, path);
    const release = { url: options.url ?? encodeURIComponent(basename(path)), sha256: hash.digest('hex'), sizeBytes };
    await host.writeFileAtomic(manifestPath, renderPackageManifest(release), 0o644);
    return { manifestPath };
  } catch (error) {
    await host.removeTree(partial);
    if (signal.aborted) throw new BangerError('CANCELLED', 'packaging was cancelled', { cause: error });
    throw error instanceof BangerError ? error : cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return new BangerError('NO_SPACE', `no space left for ${path}`, { remedy: `df -h ${dirname(path)}` });
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new BangerError('INVALID_INPUT', `cannot write ${path}: ${code}`, { remedy: 'give the path of a new file with -o', cause: error });
}

async function* archiveOf({ bundle, onProgress }: PackageOptions): AsyncGenerator<Buffer> {
  const { sshPrivateKey: _private, sshPublicKey: _public, ...files } = bundle.manifest.files;
  const packed: PackedManifest = { ...bundle.manifest, files };
  const parts = Object.values(files).filter((file) => file !== undefined);
  const modifiedMs = Date.parse(packed.builtAt);
  yield* smallEntry(MANIFEST_NAME, `${JSON.stringify(packed, null, 2)}\n`, modifiedMs);
  yield* smallEntry(CHECKSUMS_NAME, parts.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join(''), modifiedMs);
  const totalBytes = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  for (const part of parts) {
    onProgress(part.path, doneBytes / totalBytes);
    yield encodeTarHeader({ path: part.path, type: 'file', mode: 0o755, sizeBytes: part.sizeBytes, modifiedMs, linkPath: '' });
    yield* contentOf(bundle.directory, part);
    yield tarPadding(part.sizeBytes);
    doneBytes += part.sizeBytes;
  }
  yield tarEnd();
}

function* smallEntry(path: string, text: string, modifiedMs: number): Generator<Buffer> {
  const content = Buffer.from(text);
  yield encodeTarHeader({ path, type: 'file', mode: 0o644, sizeBytes: content.length, modifiedMs, linkPath: '' });
  yield content;
  yield tarPadding(content.length);
}

async function* contentOf(directory: string, { path, sizeBytes, sha256 }: BundleFile): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(join(directory, path), { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    yield chunk;
  }
  if (bytes === sizeBytes && hash.digest('hex') === sha256) return;
  throw new BangerError('BUNDLE_BROKEN', `${path} in ${directory} has changed since it was built`, { remedy: BUNDLE_REMEDY });
}
