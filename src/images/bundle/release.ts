import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { parse } from 'smol-toml';
import { z } from 'zod';
import { readTar, TarProblem } from '../../lib/tar.ts';
import { BangerError } from '../../model/errors.ts';
import { ADDED_PROGRAMS, type AddedProgram } from '../../model/image.ts';
import { given } from '../../lib/given.ts';
import { messageOf } from '../../lib/message-of.ts';

/** An archive to download, and how to verify it. */
export type Release = {
  /** http, https or file. */
  url: string;
  /** Hex. */
  sha256: string;
  /** For progress; the checksum verifies the content. */
  sizeBytes?: number;
};

/** The pinned release, below the directory of the sources. */
export const RELEASE_PIN = 'images/firecracker.toml';

const archiveSchema = z.strictObject({
  url: z.url({ protocol: /^(https?|file)$/ }),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number().int().positive().optional(),
});
const pinSchema = z.strictObject({ version: z.string(), x86_64: archiveSchema, aarch64: archiveSchema });

/** @returns the pinned release for an architecture in Node's terms. @throws BUNDLE_BROKEN, UNSUPPORTED */
export function parseReleasePin(text: string, path: string, architecture: string): Release {
  const name = ({ x64: 'x86_64', arm64: 'aarch64' } as const)[architecture];
  if (name === undefined) throw new BangerError('UNSUPPORTED', `Firecracker has no release for ${architecture}`);
  const parsed = pinSchema.safeParse(readToml(text));
  if (parsed.success) {
    const { url, sha256, size } = parsed.data[name];
    return { url, sha256, ...given({ sizeBytes: size }) };
  }
  const [issue] = parsed.error.issues;
  throw new BangerError('BUNDLE_BROKEN', `${path} cannot be used: ${issue?.path.join('.')}: ${issue?.message}`, {
    remedy: 'give --url and --sha256',
  });
}

function readToml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    // The schema reports what is missing.
    return undefined;
  }
}

/** As release-v1.16.1-x86_64/jailer-v1.16.1-x86_64: the whole path must match, so that none leads out of the target. */
const WANTED = /^(?:\.\/)?release-v[\w.]+-(?:x86_64|aarch64)\/(firecracker|jailer)-v[\w.]+-(?:x86_64|aarch64)$/;
/** A program is a few MiB; an archive that unpacks to more than this is no release. */
const MAX_UNPACKED_BYTES = 512 * 1024 ** 2;

/**
 * Unpacks the programs of a release archive, and nothing else of it.
 * @param directory exists; the programs get their plain names there
 * @throws DOWNLOAD_FAILED if the archive is damaged or does not contain each program once
 */
export async function unpackRelease(archivePath: string, directory: string, signal: AbortSignal): Promise<Record<AddedProgram, string>> {
  const found: Partial<Record<AddedProgram, string>> = {};
  let file: FileHandle | undefined;
  const sink = {
    async entry({ path, type }: { path: string; type: string }): Promise<void> {
      const name = WANTED.exec(path)?.[1] as AddedProgram | undefined;
      if (name === undefined) return;
      if (type !== 'file' || found[name] !== undefined) throw new TarProblem(`${path} is not a regular file, or is there twice`);
      found[name] = join(directory, name);
      file = await open(join(directory, name), 'wx', 0o755);
    },
    async content(bytes: Buffer): Promise<void> {
      await file?.writeFile(bytes);
    },
    async entryEnd(): Promise<void> {
      await file?.close();
      file = undefined;
    },
  };
  try {
    await pipeline(createReadStream(archivePath), createGunzip(), (source: AsyncIterable<Buffer>) => readTar(bounded(source), sink), {
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw unusable(messageOf(error), error);
  } finally {
    await file?.close();
  }
  for (const program of ADDED_PROGRAMS) if (found[program] === undefined) throw unusable(`there is no ${program} in it`);
  return found as Record<AddedProgram, string>;
}

async function* bounded(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const chunk of source) {
    total += chunk.length;
    if (total > MAX_UNPACKED_BYTES) throw new TarProblem('it unpacks to more than a release has');
    yield chunk;
  }
}

function unusable(why: string, cause?: unknown): BangerError {
  return new BangerError('DOWNLOAD_FAILED', `the archive is not a Firecracker release: ${why}`, {
    remedy: 'use the archive of the official release',
    cause,
  });
}
