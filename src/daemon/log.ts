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
    pino.destination({ fd: 2, sync: true }),
  );
}
