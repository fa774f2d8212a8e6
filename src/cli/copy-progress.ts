import { formatSize } from '../lib/size.ts';
import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';
import { safeLine } from '../lib/terminal-text.ts';

/** A shorter copy needs no bar. */
const QUIET_MS = 2000;
const FRAME_MS = 200;
const BAR_CHARS = 24;
/** A copy that stands still must show it: the rate is that of this interval. */
const RATE_MS = 5000;

/** A line at the bottom of the terminal with the progress of a copy. */
export type CopyProgress = {
  /** This many more bytes were copied. */
  moved(bytes: number): void;
  /** The estimated total. */
  total(bytes: number): void;
  /** Prints a line that stays. */
  note(text: string): void;
  end(): void;
};

/**
 * Shows a bar on a terminal if the copy takes longer than two seconds. Elsewhere, and with `-q`, only prints notes. @param name of the
 * copied file
 */
export function createCopyProgress({ stderr, env }: Pick<Cli, 'stderr' | 'env'>, name: string, isQuiet: boolean): CopyProgress {
  const isLive = !isQuiet && stderr.isTTY === true && !isSet(env['BANGER_PLAIN']) && !isSet(env['CI']) && env['TERM'] !== 'dumb';
  const beganMs = performance.now();
  const rate = createRate();
  let movedBytes = 0;
  let totalBytes: number | undefined;
  let isShown = false;
  const clear = (): void => {
    if (isShown) stderr.write('\r\u001b[2K');
    isShown = false;
  };
  const draw = (): void => {
    const nowMs = performance.now();
    const bytesPerSecond = rate(movedBytes, nowMs);
    if (nowMs - beganMs < QUIET_MS) return;
    const line = copyLine({ name, movedBytes, totalBytes, bytesPerSecond }, stderr.columns ?? 80);
    stderr.write(`\r\u001b[2K${line}`);
    isShown = true;
  };
  const timer = isLive ? setInterval(draw, FRAME_MS) : undefined;
  timer?.unref();
  return {
    moved: (bytes) => void (movedBytes += bytes),
    total: (bytes) => void (totalBytes = bytes),
    note(text) {
      clear();
      stderr.write(`${text}\n`);
    },
    end() {
      clearInterval(timer);
      clear();
    },
  };
}

export type CopyState = { name: string; movedBytes: number; totalBytes: number | undefined; bytesPerSecond: number };

/**
 * @returns one line of at most `columns` characters: name, bar if the total is known, bytes and rate. A narrow line drops the name first.
 */
export function copyLine({ name, movedBytes, totalBytes, bytesPerSecond }: CopyState, columns: number): string {
  const room = Math.max(0, columns - 1);
  const facts = `${formatSize(movedBytes)}  ${formatSize(Math.round(bytesPerSecond))}/s`;
  const share = totalBytes === undefined ? undefined : Math.min(1, movedBytes / Math.max(1, totalBytes));
  const percent = share === undefined ? '' : `${Math.floor(share * 100)}%  `;
  const filled = Math.round((share ?? 0) * BAR_CHARS);
  const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(BAR_CHARS - filled)}] `;
  const line = `${bar}${percent}${facts}`;
  if (line.length > room) return `${percent}${facts}`.slice(0, room);
  const nameRoom = room - line.length - 2;
  const safe = safeLine(name);
  const shown = safe.length > nameRoom ? `…${safe.slice(safe.length - Math.max(0, nameRoom - 1))}` : safe;
  return nameRoom < 4 ? line : `${shown}  ${line}`;
}

/** @returns a function that takes the number of bytes and the time now and then, and returns the recent rate in bytes per second */
export function createRate(): (movedBytes: number, nowMs: number) => number {
  const looks: { movedBytes: number; atMs: number }[] = [];
  return (movedBytes, nowMs) => {
    looks.push({ movedBytes, atMs: nowMs });
    while (looks.length > 2 && nowMs - (looks[1]?.atMs ?? nowMs) >= RATE_MS) looks.shift();
    const first = looks[0] ?? { movedBytes, atMs: nowMs };
    return nowMs > first.atMs ? ((movedBytes - first.movedBytes) * 1000) / (nowMs - first.atMs) : 0;
  };
}
