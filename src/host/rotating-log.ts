import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

export type RotatingLog = {
  write(chunk: Uint8Array): void;
  close(): void;
};

/**
 * Opens a log (0600) that never takes more than about twice `maxBytes`: a full one becomes `PATH.1`, and a new one begins. The log must
 * never stop the process that it logs: text that cannot be written is dropped, and the log says how much once it can be written again.
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
  /** @returns how many bytes were written */
  const append = (chunk: Uint8Array): number => {
    try {
      if (file === undefined) open();
      if (size + chunk.length > maxBytes && size > 0) rotate();
      const written = writeSync(file ?? open(), chunk.subarray(0, maxBytes));
      size += written;
      return written;
    } catch {
      // The disk is full, or the directory was removed with its VM.
      return 0;
    }
  };
  const tellLoss = (): void => {
    const note = Buffer.from(`\nbanger: ${lostBytes} bytes could not be written here\n`);
    if (append(note) === note.length) lostBytes = 0;
  };
  // Create the file at once, so that readers find it.
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
