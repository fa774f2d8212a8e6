import type { Socket } from 'node:net';

/** The log and its predecessor take at most twice this. */
export const SERIAL_LOG_BYTES = 1024 ** 2;
/** A guest that prints faster than this is not read for the rest of the second, so that it cannot wear out disk or daemon. */
const BYTES_PER_SECOND = 1024 ** 2;

/** The reader of a guest's serial line. */
export type SerialLine = {
  /** Settles when the VMM has closed the line and all of it is in the log. */
  readonly ended: Promise<void>;
  close(): void;
};

/**
 * Writes what the guest prints to a log that bounds itself.
 * @param line the VMM's end of the line; need not be connected yet
 */
export function logSerialOutput(line: Socket, log: { write(chunk: Uint8Array): void; close(): void }): SerialLine {
  let timer: NodeJS.Timeout | undefined;
  let windowStart = performance.now();
  let windowBytes = 0;
  line.on('error', () => undefined);
  line.on('data', (chunk: Buffer) => {
    log.write(chunk);
    const now = performance.now();
    if (now - windowStart >= 1000) {
      windowStart = now;
      windowBytes = 0;
    }
    windowBytes += chunk.length;
    if (windowBytes < BYTES_PER_SECOND) return;
    line.pause();
    timer = setTimeout(() => line.resume(), windowStart + 1000 - now);
  });
  const ended = new Promise<void>((resolve) => {
    line.once('close', () => {
      clearTimeout(timer);
      log.close();
      resolve();
    });
  });
  return { ended, close: () => void line.destroy() };
}
