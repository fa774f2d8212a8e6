// The `STOPSIGNAL` of an image (image-spec, config.md): a number, or a Linux name, as docker and podman read it.
import { constants } from 'node:os';

/** signal(7): those below 34 belong to the C library. */
const [FIRST_REAL_TIME, LAST_REAL_TIME] = [34, 64];
const NAMES: Readonly<Record<string, number>> = { ...constants.signals, SIGCLD: constants.signals.SIGCHLD };

/** @returns its number; undefined if it is no signal */
export function signalNumber(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return isSignal(Number(text)) ? Number(text) : undefined;
  const name = text.toUpperCase().replace(/^(SIG)?/, 'SIG');
  const [, end, offset = '0'] = /^SIGRT(MIN|MAX)([+-]\d{1,2})?$/.exec(name) ?? [];
  if (end === undefined) return Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
  const number = (end === 'MIN' ? FIRST_REAL_TIME : LAST_REAL_TIME) + Number(offset);
  return number >= FIRST_REAL_TIME && number <= LAST_REAL_TIME ? number : undefined;
}

const isSignal = (number: number): boolean => number >= 1 && number <= LAST_REAL_TIME;
