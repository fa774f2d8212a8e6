import { open } from 'node:fs/promises';

const CHUNK_BYTES = 64 * 1024;
const LINE_END = 10;

/**
 * Searches backwards for the beginning of the last lines; a last line without its line end counts.
 * @returns the byte at which they begin, and how many of them the file lacks; the file may be missing
 */
export async function beginOfTail(path: string, lines: number): Promise<{ begin: number; missing: number }> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    let missing = lines;
    // The end of the last line does not end an earlier one.
    let end = size > 0 && (await readAt(file, size - 1, 1))[0] === LINE_END ? size - 1 : size;
    if (lines === 0 || size === 0) return { begin: size, missing: lines };
    while (end > 0) {
      const begin = Math.max(0, end - CHUNK_BYTES);
      const chunk = await readAt(file, begin, end - begin);
      for (let at = chunk.lastIndexOf(LINE_END); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(LINE_END, at - 1)) {
        if (--missing === 0) return { begin: begin + at + 1, missing };
      }
      end = begin;
    }
    // The text before the first line end is a line, too.
    return { begin: 0, missing: missing - 1 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { begin: 0, missing: lines };
    throw error;
  }
}

type Handle = Awaited<ReturnType<typeof open>>;

async function readAt(file: Handle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
