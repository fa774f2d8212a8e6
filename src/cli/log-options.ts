// Switches of commands that print logs, as docker and journalctl have them.
import type { Option } from '@commander-js/extra-typings';
import { parseDuration } from '../lib/duration.ts';
import { BangerError } from '../model/errors.ts';
import { newOption } from './command.ts';
import { parseInteger } from './values.ts';

/** `--tail`; its value is Infinity for `all`, because commander makes an empty text of undefined. */
export function tailOption(): Option<'-n, --tail <lines>', undefined, undefined, number, false, undefined> {
  const parse = (value: string): number => (value === 'all' ? Infinity : parseInteger('--tail', value, { min: 0, max: 999_999_999 }));
  return newOption('-n, --tail <lines>', 'number of lines from the end; -f prints all later ones (default: all)').argParser(parse);
}

/** RFC 3339, where the time of day, its seconds and its zone may be left out; without a zone it is the local one. */
const MOMENT = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i;

/** Ten digits are seconds since 1970, fewer are seconds ago. @returns the moment, in milliseconds since 1970, that a duration ago or a time means. @throws INVALID_INPUT */
export function parseSince(value: string): number {
  const durationMs = parseDuration(value);
  if (durationMs !== undefined) return Date.now() - durationMs;
  if (/^\d{10}$/.test(value)) return Number(value) * 1000;
  // Midnight of here, not of UTC, is what a day means.
  const text = value.length === 10 ? `${value}T00:00` : value.replace(' ', 'T');
  const moment = MOMENT.test(value) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(moment)) return moment;
  throw new BangerError('INVALID_INPUT', `--since: ${JSON.stringify(value.slice(0, 80))} is not a time`, {
    remedy: 'give a duration such as 10m or 2h, or a time such as 2026-01-31T08:00:00Z',
  });
}
