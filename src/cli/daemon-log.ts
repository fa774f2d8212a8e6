import { createReadStream, statSync } from 'node:fs';
import { beginOfTail } from '../lib/log-tail.ts';
import { Bell, watchBeside } from '../lib/watch-beside.ts';

type Begins = { older: number; newer: number };

/** @returns from which byte on the log before this one, and this one, are read */
export async function beginsOf(path: string, tail: number | undefined): Promise<Begins> {
  if (tail === undefined) return { older: 0, newer: 0 };
  const newer = await beginOfTail(path, tail);
  return { older: (await beginOfTail(`${path}.1`, newer.missing)).begin, newer: newer.begin };
}

/**
 * What there is, the log before this one first; then, when asked, what is added. The daemon empties its log when it is full, and keeps
 * what was in it beside it: there a reader goes on that had not come to the end.
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

/** @returns the bytes of a file from a place on; none when it is not there */
async function* readFrom(path: string, from: number): AsyncGenerator<Buffer> {
  if (sizeOf(path) <= from) return;
  for await (const chunk of createReadStream(path, { start: from })) yield chunk as Buffer;
}
