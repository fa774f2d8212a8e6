import { formatSize } from '../lib/size.ts';
import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';
import { safeLine } from '../lib/terminal-text.ts';

/** What is over sooner needs no bar. */
const QUIET_MS = 2000;
const FRAME_MS = 200;
const BAR_CHARS = 24;
/** A copy that stands still is seen to: its rate is that of so long. */
const RATE_MS = 5000;

/** A line at the bottom of the terminal that says how far a copy is. */
export type CopyProgress = {
  /** So many bytes more have gone. */
  moved(bytes: number): void;
  /** About so many there will be. */
  total(bytes: number): void;
  /** A line that stays. */
  note(text: string): void;
  end(): void;
};

/** Shows a bar on a terminal once the copy takes longer than two seconds; elsewhere, and when it is to be quiet, only notes. @param name what is copied */
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

/** @returns one line of at most `columns` characters: name, bar where the whole is known, bytes and rate; what there is no room for goes first */
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

/** @returns a function that is told, now and then, how much went and when; it returns how many bytes a second went in the last seconds */
export function createRate(): (movedBytes: number, nowMs: number) => number {
  const looks: { movedBytes: number; atMs: number }[] = [];
  return (movedBytes, nowMs) => {
    looks.push({ movedBytes, atMs: nowMs });
    while (looks.length > 2 && nowMs - (looks[1]?.atMs ?? nowMs) >= RATE_MS) looks.shift();
    const first = looks[0] ?? { movedBytes, atMs: nowMs };
    return nowMs > first.atMs ? ((movedBytes - first.movedBytes) * 1000) / (nowMs - first.atMs) : 0;
  };
}
