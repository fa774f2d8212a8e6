import { writeSync } from 'node:fs';
import pino, { type Logger } from 'pino';

export type Log = Logger;

/** Structured JSON lines on stderr, which the CLI that starts the daemon appends to the log file (9.1). */
export function openLog(level: 'debug' | 'info' | 'warn' | 'error'): Log {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
}

/** A disk that cannot take a line loses that line: the daemon must not end by its log. */
function write(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {
    // Full, or nobody reads it.
  }
}
