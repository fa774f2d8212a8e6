import type { Socket } from 'node:net';

/** The log and its predecessor together take at most twice this. */
export const OUTPUT_LOG_BYTES = 1024 ** 2;
/**
 * If a guest prints faster than this, banger does not read for the rest of the second, so that the output cannot wear out disk or daemon.
 */
const BYTES_PER_SECOND = 1024 ** 2;

/** Copies the output of a VMM or its guest to a log. */
export type LoggedOutput = {
  /** Settles once the VMM has closed its end and all output is in the log. */
  readonly ended: Promise<void>;
  close(): void;
};

/**
 * Writes output to a log of bounded size.
 * @param output the source; need not be connected yet
 */
export function logOutput(output: Socket, log: { write(chunk: Uint8Array): void; close(): void }): LoggedOutput {
  let timer: NodeJS.Timeout | undefined;
  let windowStart = performance.now();
  let windowBytes = 0;
  output.on('error', () => undefined);
  output.on('data', (chunk: Buffer) => {
    log.write(chunk);
    const now = performance.now();
    if (now - windowStart >= 1000) {
      windowStart = now;
      windowBytes = 0;
    }
    windowBytes += chunk.length;
    if (windowBytes < BYTES_PER_SECOND) return;
    output.pause();
    timer = setTimeout(() => output.resume(), windowStart + 1000 - now);
  });
  const ended = new Promise<void>((resolve) => {
    output.once('close', () => {
      clearTimeout(timer);
      log.close();
      resolve();
    });
  });
  return { ended, close: () => void output.destroy() };
}
