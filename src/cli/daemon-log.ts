import { createReadStream, statSync } from 'node:fs';
import { beginOfTail } from '../lib/log-tail.ts';
import { Bell, watchBeside } from '../lib/watch-beside.ts';

type Begins = { older: number; newer: number };

/** @returns the byte offsets at which to begin in the previous log and in this one */
export async function beginsOf(path: string, tail: number | undefined): Promise<Begins> {
  if (tail === undefined) return { older: 0, newer: 0 };
  const newer = await beginOfTail(path, tail);
  return { older: (await beginOfTail(`${path}.1`, newer.missing)).begin, newer: newer.begin };
}

/**
 * Yields the log, the previous file first, and then, if asked, what is added. The daemon empties a full log and keeps its content beside
 * it; a reader that had not reached the end continues there.
 */
export async function* readLog(path: string, begins: Begins, follow: boolean): AsyncGenerator<Buffer> {
  yield* readFrom(`${path}.1`, begins.older);
  const bell = new Bell();
  const leave = follow ? watchBeside(path, () => bell.ring()) : undefined;
  try {
    for (let at = begins.newer; ;) {
      for await (const chunk of readFrom(path, at)) {
        at += chunk.length;
        yield chunk;
      }
      if (!follow) return;
      await bell.wait();
      if (sizeOf(path) >= at) continue;
      yield* readFrom(`${path}.1`, at);
      at = 0;
    }
  } finally {
    leave?.();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** @returns the bytes of a file from an offset on; nothing if the file is missing */
async function* readFrom(path: string, from: number): AsyncGenerator<Buffer> {
  if (sizeOf(path) <= from) return;
  for await (const chunk of createReadStream(path, { start: from })) yield chunk as Buffer;
}
