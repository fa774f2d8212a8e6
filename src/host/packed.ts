// Files that are packed with zstd: as fast as a disk takes them, and a fraction of their size.
import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createZstdDecompress, zstdCompress } from 'node:zlib';

/** Each block is packed for itself, on a processor of its own. Larger ones are hardly packed better. */
const BLOCK_BYTES = 1024 ** 2;
/** Node works on four at once. */
const MOST_BLOCKS_AT_ONCE = 4;
/** The fastest level; the next ones take twice the time for a quarter less. A block that was damaged on disk is told from a good one. */
const PACKING = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };
const pack = promisify<Buffer, object, Buffer>(zstdCompress);

/** @returns the content as a file of zstd */
export async function* packed(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const underWay: Promise<Buffer>[] = [];
  const most = Math.min(availableParallelism(), MOST_BLOCKS_AT_ONCE);
  for await (const block of blocksOf(content)) {
    const work = pack(block, { params: PACKING, chunkSize: BLOCK_BYTES });
    // It may fail before it is its turn.
    work.catch(() => undefined);
    underWay.push(work);
    if (underWay.length >= most) yield (await underWay.shift()) ?? Buffer.alloc(0);
  }
  for (const work of underWay) yield await work;
}

async function* blocksOf(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of content) {
    parts.push(part);
    bytes += part.length;
    if (bytes < BLOCK_BYTES) continue;
    yield Buffer.concat(parts);
    [parts, bytes] = [[], 0];
  }
  yield Buffer.concat(parts);
}

/** @returns the content of a zstd file, as a stream */
export function openUnpacked(path: string): Readable {
  const file = createReadStream(path, { highWaterMark: BLOCK_BYTES });
  const unpacked = createZstdDecompress({ chunkSize: BLOCK_BYTES });
  file.once('error', (error) => unpacked.destroy(error));
  unpacked.once('close', () => file.destroy());
  return file.pipe(unpacked);
}

/**
 * Gives a process the content of a zstd file to read, as far as it reads.
 * @returns rejects if the file cannot be read or unpacked: the process then finds an end that is none
 */
export function feedUnpacked(path: string, input: Duplex): Promise<never> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const content = openUnpacked(path);
  content.once('error', (error) => {
    failed.reject(error);
    input.destroy();
  });
  // A process that closes it has read enough, or has ended, which it tells otherwise. Only who reads learns of it.
  input.on('error', () => undefined).once('close', () => content.destroy());
  input.resume();
  content.pipe(input);
  return failed.promise;
}
