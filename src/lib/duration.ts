// Implemented here, because a duration must be parsed exactly or refused: ms('1h30m') of npm is undefined, and parse-duration takes "x1h"
// for an hour.

const UNITS_MS: Record<string, number> = { ms: 1, s: 1000, '': 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads "90", "90s", "1.5m", "1h30m", "250ms"; a bare number counts seconds. @returns milliseconds, or undefined if it is malformed */
export function parseDuration(text: string): number | undefined {
  const clean = text.trim();
  if (!/^(\d{1,9}(\.\d{1,6})?(ms|s|m|h|d))+$|^\d{1,9}(\.\d{1,6})?$/.test(clean)) return undefined;
  let totalMs = 0;
  for (const [, number = '', unit = ''] of clean.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd]|)/g)) {
    totalMs += Number(number) * (UNITS_MS[unit] ?? Number.NaN);
  }
  return Number.isFinite(totalMs) ? Math.round(totalMs) : undefined;
}

/** @returns "820ms", "1.4s", "12s", "3m05s", "2h10m", "4d3h": two units at most. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`;
  if (durationMs < 9950) return `${(durationMs / 1000).toFixed(1)}s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 60) return `${seconds}s`;
  const pad = (n: number): string => String(n).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${pad(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h${pad(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d${Math.floor((minutes % 1440) / 60)}h`;
}

/** @returns "12 s", "12 min", "5 h", "2 d": one unit, for a table */
export function formatSpan(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** @returns "just now", "3m ago", "5h ago", "2d ago", "8 months ago", "2 years ago": one unit. */
export function formatAge(thenMs: number, nowMs: number): string {
  const seconds = Math.floor((nowMs - thenMs) / 1000);
  if (Number.isNaN(seconds)) return 'unknown';
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ago`;
  const days = Math.floor(seconds / 86_400);
  if (days < 60) return `${days}d ago`;
  return days < 730 ? `${Math.floor(days / 30)} months ago` : `${Math.floor(days / 365)} years ago`;
}
