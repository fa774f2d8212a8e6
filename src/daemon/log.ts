import { copyFileSync, fstatSync, ftruncateSync, statSync, writeSync } from 'node:fs';
import pino, { type Logger } from 'pino';
import { jsonEscaped } from '../lib/terminal-text.ts';

export type Log = Logger;

/** Of the log and of the one before it, bytes each. */
export const LOG_BYTES = 8 * 1024 ** 2;

/**
 * Structured JSON lines on stderr, which the CLI that starts the daemon appends to the log file. Nothing in them acts on a terminal.
 * @param file where stderr leads, if it is a file: when it holds `maxBytes` it is copied to `PATH.1` and begins anew
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

/** A disk that cannot take a line loses that line: the daemon must not end by its log. */
function write(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {
    // The pipe is full, or has no reader.
  }
}

/**
 * Emptied and not renamed: stderr stays the same file, so what a dying daemon writes past this log is at its end as well. All writers
 * append. Without room for the copy the older lines are lost, and the log stays bounded.
 * @returns what keeps the file bounded, to be called before each line
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
      // No file, or no room.
    }
  };
}
