/** Where a command line reads and writes: a terminal, a pipe, or a test's stream. */
export type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number };
export type Input = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(on: boolean): unknown };
