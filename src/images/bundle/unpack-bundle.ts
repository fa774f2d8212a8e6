import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { readTar, type TarEntry, TarProblem, type TarSink } from '../../lib/tar.ts';
import { BangerError } from '../../model/errors.ts';
import type { BundleFile, PackedManifest } from '../../model/image.ts';
import { MANIFEST_NAME, parsePackedManifest } from './manifest.ts';
import { CHECKSUMS_NAME } from './package-bundle.ts';
import { messageOf } from '../../lib/message-of.ts';

const CHUNK_BYTES = 1024 ** 2;
/** More than a list of files takes. */
const MAX_TEXT_BYTES = 1024 ** 2;
/** Holes take no space, but no real disk image claims more than this. */
const MAX_PART_BYTES = 64 * 1024 ** 3;
const ZEROS = Buffer.alloc(64 * 1024);

export type PackedPart = keyof PackedManifest['files'];
export type Unpacked = { manifest: PackedManifest; paths: ReadonlyMap<PackedPart, string> };

/**
 * Unpacks an archive of `packageBundle`: only files that the archive's own `bundle.json` names, with the size and content that it gives.
 * @param directory exists and is empty; files get the names of their parts, and holes stay holes
 * @throws DOWNLOAD_FAILED if it is another archive
 */
export async function unpackBundle(archivePath: string, directory: string, signal: AbortSignal): Promise<Unpacked> {
  const sink = new PartSink(directory);
  try {
    const source = createReadStream(archivePath, { highWaterMark: CHUNK_BYTES });
    const unzip = createZstdDecompress({ chunkSize: CHUNK_BYTES });
    await pipeline(source, unzip, (bytes: AsyncIterable<Buffer>) => readTar(bytes, sink), { signal });
    return sink.finish();
  } catch (error) {
    signal.throwIfAborted();
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'UNSUPPORTED') throw error;
    const why = messageOf(error);
    throw new BangerError('DOWNLOAD_FAILED', `the archive is not a runtime bundle: ${why}`, {
      remedy: 'banger bundle package -o FILE',
      cause: error,
    });
  } finally {
    await sink.close();
  }
}

/** Where the bytes of an entry go. */
type Target = { add(bytes: Buffer): Promise<void>; end(): Promise<void> };

class PartSink implements TarSink {
  readonly #directory: string;
  readonly #paths = new Map<PackedPart, string>();
  #manifest: PackedManifest | undefined;
  #file: FileHandle | undefined;
  #target: Target | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async entry(entry: TarEntry): Promise<void> {
    if (entry.type !== 'file') throw new TarProblem(`${entry.path} is not a regular file`);
    if (this.#manifest === undefined) this.#target = this.#manifestTarget(entry);
    else if (entry.path === CHECKSUMS_NAME) this.#target = textTarget(entry, () => undefined);
    else this.#target = await this.#partTarget(entry, this.#manifest);
  }

  async content(bytes: Buffer): Promise<void> {
    await this.#target?.add(bytes);
  }

  async entryEnd(): Promise<void> {
    await this.#target?.end();
    this.#target = undefined;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** @throws TarProblem if a part is missing */
  finish(): Unpacked {
    if (this.#manifest === undefined) throw new TarProblem('it is empty');
    for (const [part, file] of Object.entries(this.#manifest.files)) {
      if (file !== undefined && !this.#paths.has(part as PackedPart)) throw new TarProblem(`${file.path} is not in it`);
    }
    return { manifest: this.#manifest, paths: this.#paths };
  }

  #manifestTarget(entry: TarEntry): Target {
    if (entry.path !== MANIFEST_NAME) throw new TarProblem(`it does not begin with ${MANIFEST_NAME}`);
    return textTarget(entry, (text) => {
      const manifest = parsePackedManifest(text, MANIFEST_NAME);
      const here = ({ x64: 'x86_64', arm64: 'aarch64' } as Record<string, string>)[process.arch];
      if (manifest.architecture !== here) {
        throw new BangerError('UNSUPPORTED', `the bundle is for ${manifest.architecture}, this machine is ${here ?? process.arch}`, {
          remedy: 'banger bundle build',
        });
      }
      this.#manifest = manifest;
    });
  }

  async #partTarget(entry: TarEntry, manifest: PackedManifest): Promise<Target> {
    const found = Object.entries(manifest.files).find(([, file]) => file?.path === entry.path) as [PackedPart, BundleFile] | undefined;
    if (found === undefined || this.#paths.has(found[0])) throw new TarProblem(`${entry.path} does not belong in it`);
    const [part, { sizeBytes, sha256 }] = found;
    if (entry.sizeBytes !== sizeBytes || sizeBytes > MAX_PART_BYTES) throw new TarProblem(`${entry.path} has ${entry.sizeBytes} bytes`);
    const path = join(this.#directory, part);
    this.#paths.set(part, path);
    const file = await open(path, 'wx', 0o600);
    this.#file = file;
    const hash = createHash('sha256');
    let position = 0;
    return {
      add: async (bytes) => {
        hash.update(bytes);
        position = await writeAround(file, bytes, position);
      },
      end: async () => {
        await file.truncate(sizeBytes);
        await file.sync();
        await this.close();
        requireHash(hash, sha256, entry.path);
      },
    };
  }
}

function requireHash(hash: Hash, sha256: string, path: string): void {
  if (hash.digest('hex') !== sha256) throw new TarProblem(`${path} is not what bundle.json says`);
}

function textTarget(entry: TarEntry, use: (text: string) => void): Target {
  if (entry.sizeBytes > MAX_TEXT_BYTES) throw new TarProblem(`${entry.path} is too long`);
  const chunks: Buffer[] = [];
  return { add: async (bytes) => void chunks.push(Buffer.from(bytes)), end: async () => use(Buffer.concat(chunks).toString('utf8')) };
}

/** Writes what is not zero. @returns the position behind `bytes` */
async function writeAround(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const block = bytes.subarray(at, at + ZEROS.length);
    if (!block.equals(ZEROS.subarray(0, block.length))) await file.write(block, 0, block.length, position + at);
  }
  return position + bytes.length;
}
