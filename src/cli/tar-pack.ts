import { constants, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { encodeTarHeader, type TarEntry, tarEnd, tarPadding } from '../lib/tar.ts';
import { BangerError } from '../model/errors.ts';

const PIECE_BYTES = 256 * 1024;

/**
 * Yields what is in a directory as a tar stream. Links are kept as links; sockets, pipes and devices are left out.
 * @param onSkipped told about each of those
 * @throws GUEST_FILE when a file shrinks while it is read
 */
export async function* packDirectory(root: string, onSkipped: (problem: string) => void): AsyncGenerator<Buffer> {
  yield* packBelow(root, '', onSkipped);
  yield tarEnd();
}

async function* packBelow(root: string, below: string, onSkipped: (problem: string) => void): AsyncGenerator<Buffer> {
  for (const name of readdirSync(`${root}/${below}`).toSorted()) {
    const path = below === '' ? name : `${below}/${name}`;
    const stat = lstatSync(`${root}/${path}`);
    if (stat.isDirectory()) {
      yield encodeTarHeader(entryOf(`${path}/`, 'directory', stat, ''));
      yield* packBelow(root, path, onSkipped);
    } else if (stat.isSymbolicLink()) {
      yield encodeTarHeader(entryOf(path, 'symlink', stat, readlinkSync(`${root}/${path}`)));
    } else if (stat.isFile()) yield* packFile(`${root}/${path}`, path);
    else onSkipped(`${root}/${path} is no file, directory or link and was left out`);
  }
}

async function* packFile(absolute: string, path: string): AsyncGenerator<Buffer> {
  const file = await open(absolute, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const stat = await file.stat();
    yield encodeTarHeader(entryOf(path, 'file', stat, ''));
    for (let at = 0; at < stat.size;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(PIECE_BYTES, stat.size - at)), 0, undefined, at);
      if (bytesRead === 0) throw new BangerError('GUEST_FILE', `${absolute} shrank while it was read`, { remedy: 'copy it again' });
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    yield tarPadding(stat.size);
  } finally {
    await file.close();
  }
}

type Packed = 'file' | 'directory' | 'symlink';

function entryOf(path: string, type: Packed, stat: Stats, linkPath: string): TarEntry & { type: Packed } {
  return { path, type, mode: stat.mode & 0o7777, sizeBytes: type === 'file' ? stat.size : 0, modifiedMs: stat.mtimeMs, linkPath };
}
