import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

export type RotatingLog = {
  write(chunk: Uint8Array): void;
  close(): void;
};

/**
 * Opens a log (0600) that never takes more than about twice `maxBytes`: when it is full it becomes `PATH.1` and a new one
 * begins. A disk that cannot take a chunk loses that chunk: whoever is logged must not be stopped by its log.
 */
export function openRotatingLog(path: string, maxBytes: number): RotatingLog {
  let file: number | undefined = openSync(path, 'a', 0o600);
  let size = fstatSync(file).size;
  const rotate = (): void => {
    if (file === undefined) return;
    closeSync(file);
    file = undefined;
    renameSync(path, `${path}.1`);
    file = openSync(path, 'a', 0o600);
    size = 0;
  };
  return {
    write: (chunk) => {
      try {
        if (size + chunk.length > maxBytes && size > 0) rotate();
        if (file !== undefined) size += writeSync(file, chunk.subarray(0, maxBytes));
      } catch {
        // A full disk, or the directory is gone with its VM.
      }
    },
    close: () => {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}
