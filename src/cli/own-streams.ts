// The streams of this process, with handling of errors that the runtime alone would lose.
import { createReadStream, fstatSync } from 'node:fs';
import type { Input, Output } from './streams.ts';

/** @returns a getter of stdin: the stream opens on first use, once */
export function openStdinOnce(): () => Input {
  let stdin: Input | undefined;
  return () => (stdin ??= isTakenForEmpty() ? createReadStream('', { fd: 0, autoClose: false }) : process.stdin);
}

/** The runtime's own stdin treats a directory or a disk as empty input. */
function isTakenForEmpty(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isDirectory() || stat.isBlockDevice();
  } catch {
    return false;
  }
}

/** Ends the program when an output fails: silently if its reader is gone (`| head`), else with status 1 and one line. */
export function endAtFailureOf(outputs: readonly Output[], stderr: Output): void {
  for (const output of outputs) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      if (output !== stderr) stderr.write(`banger: the output cannot be written: ${reasonOf(error)}\n`);
      process.exit(1);
    });
  }
}

/**
 * Counts what was written and is still queued. `process.exit` would lose it: without a word if the output is full, or if it is a pipe with
 * a slow reader.
 * @returns a function that waits until the queue is empty; it waits forever if an output fails, which ends the program
 */
export function untilTaken(outputs: readonly Output[]): () => Promise<void> {
  let pending = 0;
  let onTaken = (): void => undefined;
  type Told = (error?: Error | null) => void;
  for (const output of outputs) {
    const write = output.write.bind(output) as (chunk: unknown, encoding: unknown, told: Told) => boolean;
    output.write = (chunk: unknown, ...rest: unknown[]): boolean => {
      const told = rest.find((one): one is Told => typeof one === 'function');
      pending++;
      return write(chunk, typeof rest[0] === 'string' ? rest[0] : undefined, (error) => {
        // The event of the same name ends the program; the writer's own error would repeat it.
        if (error instanceof Error) return;
        told?.(error);
        pending--;
        if (pending === 0) onTaken();
      });
    };
  }
  return () => new Promise((resolve) => (pending === 0 ? resolve() : (onTaken = resolve)));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'your quota is used up',
  EFBIG: 'the file has reached its size limit',
  EIO: 'the device failed',
};

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return REASONS[code ?? ''] ?? code ?? message;
}
