// Values of flags, checked before the CLI contacts the daemon. Every error names the flag, the value and what is allowed.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { parseDuration } from '../lib/duration.ts';
import { formatSize, parseSize } from '../lib/size.ts';
import { BangerError } from '../model/errors.ts';
import { LABEL_KEY, LABEL_VALUE, LIMITS, VMM_SIGNALS } from '../model/limits.ts';
import { NEVER } from '../model/settings/text.ts';
import { messageOf } from '../lib/message-of.ts';

const MIB = 1024 ** 2;

function refuse(flag: string, value: string, allowed: string): never {
  throw new BangerError('INVALID_INPUT', `${flag}: ${JSON.stringify(value.slice(0, 80))} is not allowed`, {
    remedy: `give ${allowed}`,
    details: { flag, value: value.slice(0, 80), allowed },
  });
}

/** @returns whole number within `range`. @throws INVALID_INPUT */
export function parseInteger(flag: string, value: string, range: { min: number; max: number }): number {
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= range.min && number <= range.max) return number;
  return refuse(flag, value, `a whole number from ${range.min} to ${range.max}`);
}

/** @returns MiB; a bare number counts MiB. @throws INVALID_INPUT also for a fraction of a MiB */
export function parseMemory(flag: string, value: string, { min, max }: { min: number; max: number }): number {
  const mib = (parseSize(value, { bareUnit: MIB }) ?? Number.NaN) / MIB;
  if (Number.isInteger(mib) && mib >= min && mib <= max) return mib;
  return refuse(flag, value, `MiB or a size such as 2G, from ${formatSize(min * MIB)} to ${formatSize(max * MIB)}`);
}

/** @returns bytes; a bare number counts bytes, so that a forgotten unit is refused as too small. @throws INVALID_INPUT */
export function parseDiskSize(flag: string, value: string, { min, max } = LIMITS.diskBytes): number {
  const bytes = parseSize(value);
  if (bytes !== undefined && bytes % LIMITS.diskStepBytes === 0 && bytes >= min && bytes <= max) return bytes;
  return refuse(flag, value, `a size such as 20G in whole MiB, from ${formatSize(min)} to ${formatSize(max)}`);
}

/** @returns milliseconds. @throws INVALID_INPUT */
export function parseTimeout(flag: string, value: string): number {
  const durationMs = parseDuration(value);
  if (durationMs !== undefined && durationMs > 0 && durationMs <= 7 * 86_400_000) return durationMs;
  return refuse(flag, value, 'seconds or a duration such as 90s, 5m or 1h30m, at most 7d');
}

/** @returns seconds; 0 for "never". @throws INVALID_INPUT also for a fraction of a second */
export function parseSeconds(flag: string, value: string, { min, max }: { min: number; max: number }): number {
  const seconds = value === NEVER ? 0 : (parseDuration(value) ?? Number.NaN) / 1000;
  if (Number.isInteger(seconds) && seconds >= min && seconds <= max) return seconds;
  return refuse(flag, value, `seconds or a duration such as 10m or 1h30m, at most ${max / 86_400}d, or ${NEVER}`);
}

/** @param help what the flag takes. @returns the text, empty for "never". @throws INVALID_INPUT with the problem */
export function parseText(flag: string, value: string, { problemOf, help }: TextRule): string {
  if (value === NEVER) return '';
  const problem = problemOf(value);
  if (problem === undefined) return value;
  throw new BangerError('INVALID_INPUT', `${flag}: ${problem}`, { remedy: help, details: { flag, value: value.slice(0, 80) } });
}

type TextRule = { problemOf: (text: string) => string | undefined; help: string };

/** @returns `SIGKILL` for "9"; undefined when no signal has that number */
function signalOfNumber(text: string): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => String(number) === text)?.[0];
}

/** @returns `SIGTERM` for "TERM", "term", "SIGTERM" and "15". @throws INVALID_INPUT */
export function parseSignal(flag: string, value: string): (typeof VMM_SIGNALS)[number] {
  const wanted = signalOfNumber(value) ?? `SIG${value.toUpperCase().replace(/^SIG/, '')}`;
  const known = VMM_SIGNALS.find((signal) => signal === wanted);
  return known ?? refuse(flag, value, `one of ${VMM_SIGNALS.map((signal) => signal.slice(3)).join(', ')}, or its number`);
}

const ownValue = (own: Readonly<Record<string, string | undefined>>, name: string): string | undefined =>
  Object.hasOwn(own, name) ? own[name] : undefined;

/** @returns the pair; without `=` the value comes from banger's own environment. @throws INVALID_INPUT */
export function parseEnvironment(
  flag: string,
  pairs: readonly string[],
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  // Not an object: `__proto__` is a name like any other.
  const result = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) refuse(flag, pair, 'NAME=VALUE, or NAME to pass a variable on');
    const value = equals < 0 ? ownValue(own, name) : pair.slice(equals + 1);
    if (value !== undefined) result.set(name, value);
  }
  return Object.fromEntries(result);
}

/**
 * Reads files in docker's format: `NAME=VALUE` or `NAME` on each line, `#` begins a comment line, quotes are part of the value.
 * @throws INVALID_INPUT with the name of an unreadable file, or with the bad line
 */
export function readEnvironmentFiles(files: readonly string[], own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const lines = files.flatMap((file) => {
    try {
      return readFileSync(file, 'utf8').split(/\r?\n/);
    } catch (error) {
      const reason = messageOf(error);
      throw new BangerError('INVALID_INPUT', `--env-file: ${reason}`, { remedy: 'name a readable file' });
    }
  });
  const pairs = lines.map((line) => line.trimStart()).filter((line) => line !== '' && !line.startsWith('#'));
  return parseEnvironment('--env-file', pairs, own);
}

/** @returns labels by key, from `KEY=VALUE` and `KEY`, whose value is empty. @throws INVALID_INPUT */
export function parseLabels(flag: string, pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair): [string, string] => {
      const equals = pair.indexOf('=');
      const [key, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      if (!LABEL_KEY.test(key)) refuse(flag, pair, 'KEY=VALUE, where a key has 1 to 63 letters, digits, ".", "_", "/" and "-"');
      if (!LABEL_VALUE.test(value) || value.length > LIMITS.labels.maxValueLength)
        refuse(flag, pair, `a value of one line, of at most ${LIMITS.labels.maxValueLength} characters`);
      return [key, value];
    }),
  );
}
