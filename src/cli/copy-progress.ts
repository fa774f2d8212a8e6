import { formatSize } from '../lib/size.ts';
import { isSet } from '../lib/is-set.ts';
import type { Cli, Output } from './cli.ts';
import { safeLine } from './render/text.ts';

/** What is over sooner needs no bar. */
const QUIET_MS = 2000;
const FRAME_MS = 200;
const BAR_CHARS = 24;

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

/** Shows a bar on a terminal once the copy takes longer than two seconds; elsewhere only notes. @param name what is copied */
export function createCopyProgress(stderr: Output, env: Cli['env'], name: string): CopyProgress {
  const isLive = stderr.isTTY === true && !isSet(env['BANGER_PLAIN']) && !isSet(env['CI']) && env['TERM'] !== 'dumb';
  const beganMs = performance.now();
  let movedBytes = 0;
  let totalBytes: number | undefined;
  let isShown = false;
  const clear = (): void => {
    if (isShown) stderr.write('\r\u001b[2K');
    isShown = false;
  };
  const draw = (): void => {
    const elapsedMs = performance.now() - beganMs;
    if (elapsedMs < QUIET_MS) return;
    const line = copyLine({ name, movedBytes, totalBytes, elapsedMs }, stderr.columns ?? 80);
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

/** @returns one line of at most `columns` characters: name, bar where the whole is known, bytes and rate */
export function copyLine(
  state: { name: string; movedBytes: number; totalBytes: number | undefined; elapsedMs: number },
  columns: number,
): string {
  const rate = `${formatSize(Math.round(state.movedBytes / (state.elapsedMs / 1000)))}/s`;
  const share = state.totalBytes === undefined ? undefined : Math.min(1, state.movedBytes / Math.max(1, state.totalBytes));
  const filled = Math.round((share ?? 0) * BAR_CHARS);
  const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(BAR_CHARS - filled)}] ${Math.floor(share * 100)}%  `;
  const facts = `${bar}${formatSize(state.movedBytes)}  ${rate}`;
  const room = columns - facts.length - 3;
  const name = safeLine(state.name);
  const shown = name.length > room ? `…${name.slice(name.length - Math.max(0, room - 1))}` : name;
  return `${room < 4 ? '' : `${shown}  `}${facts}`.slice(0, Math.max(0, columns - 1));
}
