import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

export type RotatingLog = {
  write(chunk: Uint8Array): void;
  close(): void;
};

/**
 * Opens a log (0600) that never takes more than about twice `maxBytes`: when it is full it becomes `PATH.1` and a new one
 * begins. Whoever is logged must not be stopped by its log: what a disk cannot take, or no file could be opened for, is lost, and
 * the log says how much when it can be written again.
 */
export function openRotatingLog(path: string, maxBytes: number): RotatingLog {
  let file: number | undefined;
  let size = 0;
  let lostBytes = 0;
  let isClosed = false;
  const open = (): number => {
    file ??= openSync(path, 'a', 0o600);
    size = fstatSync(file).size;
    return file;
  };
  const rotate = (): void => {
    if (file !== undefined) closeSync(file);
    file = undefined;
    renameSync(path, `${path}.1`);
    open();
  };
  /** @returns how many bytes the disk took */
  const append = (chunk: Uint8Array): number => {
    try {
      if (file === undefined) open();
      if (size + chunk.length > maxBytes && size > 0) rotate();
      const written = writeSync(file ?? open(), chunk.subarray(0, maxBytes));
      size += written;
      return written;
    } catch {
      // A full disk, or the directory is gone with its VM.
      return 0;
    }
  };
  const tellLoss = (): void => {
    const note = Buffer.from(`\nbanger: ${lostBytes} bytes could not be written here\n`);
    if (append(note) === note.length) lostBytes = 0;
  };
  // There from the start, for whoever looks.
  append(new Uint8Array());
  return {
    write: (chunk) => {
      if (isClosed) return;
      if (lostBytes > 0) tellLoss();
      lostBytes += chunk.length - append(chunk);
    },
    close: () => {
      isClosed = true;
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}
