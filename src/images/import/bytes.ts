// Bytes of archives and layers, which are read repeatedly: compressed or not, a whole file or a part of one.
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { refusal, unreadable } from './problem.ts';

/** Data that can be read from its start as often as needed. */
export type ByteSource = { name: string; sizeBytes: number; open(signal: AbortSignal): AsyncIterable<Buffer> };

const CHUNK_BYTES = 1024 ** 2;
/** Long enough to recognise every compression by its first bytes. */
const MAGIC_BYTES = 6;

/** Decompressors, and the first bytes by which they are recognised. */
const COMPRESSIONS: readonly { magic: RegExp; make: (() => NodeJS.ReadWriteStream) | string }[] = [
  { magic: /^1f8b/, make: () => createGunzip({ chunkSize: CHUNK_BYTES }) },
  // pzstd begins with a skippable frame (RFC 8878, 3.1.2).
  { magic: /^(28b52ffd|5.2a4d18)/, make: () => createZstdDecompress({ chunkSize: CHUNK_BYTES }) },
  { magic: /^fd377a585a00/, make: 'unxz' },
  { magic: /^425a68/, make: 'bunzip2' },
];

/**
 * @param start offset in the file, bytes
 * @returns a part of it; reading throws INVALID_INPUT if it cannot be opened
 */
export function partOfFile(path: string, name: string, start: number, sizeBytes: number): ByteSource {
  return {
    name,
    sizeBytes,
    async *open(signal) {
      // createReadStream cannot express an empty range.
      if (sizeBytes === 0) return;
      const range = { start, end: start + sizeBytes - 1, highWaterMark: CHUNK_BYTES };
      try {
        yield* createReadStream(path, { ...range, signal }) as AsyncIterable<Buffer>;
      } catch (error) {
        const { code, syscall } = error as NodeJS.ErrnoException;
        throw syscall === 'open' ? unreadable(path, code) : error;
      }
    },
  };
}

/**
 * Limits how much data unpacking may produce. A bomb is small on disk, so its growth betrays it.
 * @param mostBytes the most that unpacking may produce
 */
export class Allowance {
  readonly #mostBytes: number;
  #read = 0;
  #grown = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  took(bytes: number): void {
    this.#read += bytes;
  }

  /** @throws INVALID_INPUT */
  gave(bytes: number): void {
    this.#grown += bytes;
    if (this.#grown > this.#mostBytes) throw refusal(`it holds more than ${this.#mostBytes} bytes`, 'make room, or import a smaller one');
    if (this.#grown > mostGrownBytes(this.#read)) {
      throw refusal(`it grows to more than ${MOST_GROWTH} times its size when it is unpacked`, 'unpack it yourself first, and examine it');
    }
  }
}

/** File systems of zeros and logs compress well, but within limits; gzip's limit is a factor of 1032. */
const MOST_GROWTH = 200;
const FREE_GROWTH_BYTES = 256 * 1024 ** 2;

/** @returns the largest unpacked size that is allowed, by the packed size */
export function mostGrownBytes(packedBytes: number): number {
  return Math.max(FREE_GROWTH_BYTES, packedBytes * MOST_GROWTH);
}

/**
 * @returns its content, unpacked if it is compressed; each byte is counted
 * @throws INVALID_INPUT for an unsupported compression, damaged data, or a bomb
 */
export async function* decompressed(source: ByteSource, allowance: Allowance, signal: AbortSignal): AsyncGenerator<Buffer> {
  const counted = counting(source.open(signal), allowance);
  const head = await headOf(counted);
  const found = COMPRESSIONS.find(({ magic }) => magic.test(head.bytes.toString('hex', 0, MAGIC_BYTES)));
  if (typeof found?.make === 'string') {
    throw refusal(`${source.name} has an unsupported compression`, `unpack it first: ${found.make} ${source.name}`);
  }
  const all = Readable.from(joined(head.bytes, counted));
  // The reader gets the error: pipeline destroys the last stream with it.
  const output = found === undefined ? all : pipeline(all, found.make(), () => undefined);
  try {
    for await (const chunk of output as AsyncIterable<Buffer>) {
      allowance.gave(chunk.length);
      yield chunk;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Z_') === true || code?.startsWith('ZSTD_') === true) throw refusal(`${source.name} is damaged (${code})`);
    throw error;
  }
}

/** @returns whether the source is compressed; reads only its first bytes */
export async function isCompressed(source: ByteSource, signal: AbortSignal): Promise<boolean> {
  const head = await headOf(source.open(signal)[Symbol.asyncIterator]());
  return COMPRESSIONS.some(({ magic }) => magic.test(head.bytes.toString('hex', 0, MAGIC_BYTES)));
}

async function* counting(source: AsyncIterable<Buffer>, allowance: Allowance): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    allowance.took(chunk.length);
    yield chunk;
  }
}

async function headOf(chunks: AsyncIterator<Buffer>): Promise<{ bytes: Buffer }> {
  let bytes: Buffer = Buffer.alloc(0);
  while (bytes.length < MAGIC_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    bytes = Buffer.concat([bytes, next.value]);
  }
  return { bytes };
}

async function* joined(head: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* rest;
}
