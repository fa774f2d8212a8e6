import { connect } from 'node:net';
import type { Host } from '../../../host/host.ts';

/** The log and its predecessor take at most twice this. */
export const SERIAL_LOG_BYTES = 1024 ** 2;
/** A guest that prints faster than this is slowed by its own serial port, so that it cannot wear out disk or daemon. */
const BYTES_PER_SECOND = 1024 ** 2;

/** The reader of a guest's serial line. */
export type SerialLine = {
  /** Settles when QEMU has closed the line and all of it is in the log. */
  readonly ended: Promise<void>;
  close(): void;
};

/**
 * Writes what the guest prints to a bounded log. QEMU drops what is printed while nobody is connected.
 * @returns once connected; a line that cannot be had is an ended one, since logging must not fail a VM
 */
export async function followSerialLine(host: Host, socketPath: string, logPath: string): Promise<SerialLine> {
  const log = host.openRotatingLog(logPath, SERIAL_LOG_BYTES);
  const socket = connect({ path: socketPath });
  let timer: NodeJS.Timeout | undefined;
  let windowStart = performance.now();
  let windowBytes = 0;
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    log.write(chunk);
    const now = performance.now();
    if (now - windowStart >= 1000) {
      windowStart = now;
      windowBytes = 0;
    }
    windowBytes += chunk.length;
    if (windowBytes < BYTES_PER_SECOND) return;
    socket.pause();
    timer = setTimeout(() => socket.resume(), windowStart + 1000 - now);
  });
  const ended = new Promise<void>((resolve) => {
    socket.once('close', () => {
      clearTimeout(timer);
      log.close();
      resolve();
    });
  });
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), ended]);
  return { ended, close: () => void socket.destroy() };
}
