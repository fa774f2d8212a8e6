/** Levels of the daemon's log, the most detailed first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogWish = {
  /** Lines of this level and above. */
  level?: LogLevel | undefined;
  /** Id of an operation, or its beginning. */
  operation?: string | undefined;
  /** Name of a VM. */
  vm?: string | undefined;
  /** Lines from this time on, in milliseconds since 1970. */
  since?: number | undefined;
};

/**
 * @param line of the daemon's log: JSON, or text that a dying daemon wrote directly to the file, which counts as an error
 * @returns whether the filter keeps the line
 */
export function isWished(line: string, { level = 'debug', operation, vm, since }: LogWish): boolean {
  const entry = parseLine(line);
  if (entry === undefined) return operation === undefined && vm === undefined;
  if (since !== undefined && !(Date.parse(String(entry['time'])) >= since)) return false;
  const rank = LOG_LEVELS.indexOf(entry['level'] as LogLevel);
  if (rank >= 0 && rank < LOG_LEVELS.indexOf(level)) return false;
  if (operation !== undefined && !(typeof entry['operation'] === 'string' && entry['operation'].startsWith(operation))) return false;
  return vm === undefined || entry['vm'] === vm;
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Passes on the lines that the filter keeps, whole, however the input is split. */
export async function* filterLines(log: AsyncIterable<Buffer>, wish: LogWish): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of log) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = rest.lastIndexOf(10);
    if (end < 0) continue;
    const lines = rest.toString('utf8', 0, end).split('\n');
    rest = rest.subarray(end + 1);
    const wished = lines.filter((line) => isWished(line, wish));
    if (wished.length > 0) yield Buffer.from(`${wished.join('\n')}\n`);
  }
  if (rest.length > 0 && isWished(rest.toString('utf8'), wish)) yield rest;
}
