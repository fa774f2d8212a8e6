import { copyFileSync, fstatSync, ftruncateSync, statSync, writeSync } from 'node:fs';
import pino, { type Logger } from 'pino';
import { jsonEscaped } from '../lib/terminal-text.ts';

export type Log = Logger;

/** The limit of the log, and of the previous one, bytes each. */
export const LOG_BYTES = 8 * 1024 ** 2;

/**
 * Structured JSON lines on stderr, which the CLI that starts the daemon appends to the log file. Nothing in them controls a terminal.
 * @param file behind stderr, if it is a file: at `maxBytes` it is copied to `PATH.1` and emptied
 */
export function openLog(level: 'debug' | 'info' | 'warn' | 'error', file?: { path: string; maxBytes: number }): Log {
  const bound = file === undefined ? () => undefined : boundTo(file);
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line: string): void {
        bound();
        write(jsonEscaped(line));
      },
    },
  );
}

/** If the disk does not accept a line, the line is lost: the daemon must not end because of its log. */
function write(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {
    // The pipe is full, or has no reader.
  }
}

/**
 * Empties the file instead of renaming it: stderr stays the same file, so text that a dying daemon writes directly also ends up in it. All
 * writers append. If there is no room for the copy, the older lines are lost, and the log stays bounded.
 * @returns a function that bounds the file; call it before each line
 */
function boundTo({ path, maxBytes }: { path: string; maxBytes: number }): () => void {
  const { fd } = process.stderr;
  return () => {
    try {
      const { size, dev, ino } = fstatSync(fd);
      if (size < maxBytes) return;
      const named = statSync(path);
      if (named.dev !== dev || named.ino !== ino) return;
      try {
        copyFileSync(path, `${path}.1`);
      } finally {
        ftruncateSync(fd, 0);
      }
    } catch {
      // There is no file, or no room.
    }
  };
}
