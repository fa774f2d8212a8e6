import { closeSync, fstatSync, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { Bell, watchBeside } from './watch-beside.ts';

const CHUNK_BYTES = 64 * 1024;
/** How many files are kept for a slow reader. They take space on the disk; all readers of a file share them. */
const MOST_FILES = 8;

const readAt = promisify(read);

/** One file that once had the followed name; open, so that it stays readable after its replacement. */
type Generation = {
  descriptor: number;
  inode: bigint;
  /** Bytes of earlier files that the reader did not read. */
  droppedBytes: number;
};

/**
 * Yields a file from its start, or from byte `from`, and then, if asked, what is added, until the signal fires. A full file becomes PATH.1,
 * and another one begins (host/rotating-log.ts): the rest of the old one is read first, also by a slow reader. A very slow reader is told
 * how many bytes were dropped. A missing file counts as empty.
 */
export async function* followFile(path: string, options: { from?: number; follow: boolean; signal?: AbortSignal }): AsyncGenerator<Buffer> {
  const { follow, signal } = options;
  const generations = new Generations(path, options.from ?? 0);
  const bell = new Bell();
  const look = (): void => {
    generations.look();
    bell.ring();
  };
  const closeWatch = follow ? watchBeside(path, look) : undefined;
  // A reader that leaves may never ask for the rest.
  const leave = (): void => {
    closeWatch?.();
    bell.ring();
  };
  signal?.addEventListener('abort', leave, { once: true });
  try {
    generations.look();
    for (;;) {
      // Check before reading: a replaced file gets no more data, so the next end of it is its last.
      const isOver = generations.hasNext;
      const chunk = await generations.read();
      if (chunk.length > 0) yield chunk;
      else if (isOver) generations.next();
      else if (!follow || signal?.aborted === true) return;
      else await bell.wait();
    }
  } finally {
    signal?.removeEventListener('abort', leave);
    closeWatch?.();
    generations.close();
  }
}

class Generations {
  readonly #path: string;
  /** The file that is read first. */
  #kept: Generation[] = [];
  #position: number;

  constructor(path: string, position: number) {
    this.#path = path;
    this.#position = position;
  }

  get hasNext(): boolean {
    return this.#kept.length > 1;
  }

  /** Adds the file that has the name now. Two replacements may have happened since the last check, but no more in so short a time. */
  look(): void {
    const last = this.#kept.at(-1);
    const present = open(this.#path);
    if (present === undefined) return;
    if (present.inode === last?.inode) return closeSync(present.descriptor);
    const before = last === undefined ? undefined : open(`${this.#path}.1`);
    if (before !== undefined) {
      if (before.inode === last?.inode) closeSync(before.descriptor);
      else this.#kept.push(before);
    }
    this.#kept.push(present);
    while (this.#kept.length > MOST_FILES) this.#drop();
  }

  /** Drops the second: the first may be in use. */
  #drop(): void {
    const [dropped] = this.#kept.splice(1, 1);
    const heir = this.#kept[1];
    if (dropped === undefined || heir === undefined) return;
    heir.droppedBytes += dropped.droppedBytes + fstatSync(dropped.descriptor).size;
    closeSync(dropped.descriptor);
  }

  /** @returns the next bytes; nothing at the end of the first */
  async read(): Promise<Buffer> {
    const [first] = this.#kept;
    if (first === undefined) return Buffer.alloc(0);
    const { droppedBytes } = first;
    if (droppedBytes > 0) {
      first.droppedBytes = 0;
      return Buffer.from(`\nbanger: ${droppedBytes} bytes were dropped here, because they came faster than they were read\n`);
    }
    const { buffer, bytesRead } = await readAt(first.descriptor, Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, this.#position);
    this.#position += bytesRead;
    // It was emptied and begins anew.
    if (bytesRead === 0 && fstatSync(first.descriptor).size < this.#position) this.#position = 0;
    return buffer.subarray(0, bytesRead);
  }

  next(): void {
    const first = this.#kept.shift();
    if (first !== undefined) closeSync(first.descriptor);
    this.#position = 0;
  }

  close(): void {
    for (const { descriptor } of this.#kept.splice(0)) closeSync(descriptor);
  }
}

function open(path: string): Generation | undefined {
  try {
    const descriptor = openSync(path, 'r');
    return { descriptor, inode: fstatSync(descriptor, { bigint: true }).ino, droppedBytes: 0 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
