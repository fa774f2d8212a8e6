// The streams that this process was started with, where Node alone would lose what goes wrong with them.
import { createReadStream, fstatSync } from 'node:fs';
import type { Input, Output } from './streams.ts';

/** @returns a getter of stdin: the stream is opened when it is asked for, and once */
export function openStdinOnce(): () => Input {
  let stdin: Input | undefined;
  return () => (stdin ??= isUnknownToNode() ? createReadStream('', { fd: 0, autoClose: false }) : process.stdin);
}

/** Node takes a directory or a disk for an input with nothing in it (source: its documentation of process.stdin; libuv, uv_guess_handle). */
function isUnknownToNode(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isDirectory() || stat.isBlockDevice();
  } catch {
    return false;
  }
}

/** Ends the program at an output that takes no more: silently when nobody reads it (`| head`), else with status 1 and one line. */
export function endAtFailureOf(outputs: readonly Output[], stderr: Output): void {
  for (const output of outputs) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      if (output !== stderr) stderr.write(`banger: the output cannot be written: ${reasonOf(error)}\n`);
      process.exit(1);
    });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left where it goes',
  EDQUOT: 'no space is left for you where it goes',
  EFBIG: 'the file is as large as it may be',
  EIO: 'what takes it has failed',
};

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return REASONS[code ?? ''] ?? code ?? message;
}
