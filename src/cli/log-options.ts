// Switches of commands that print logs, as in docker and journalctl.
import type { Option } from '@commander-js/extra-typings';
import { parseDuration } from '../lib/duration.ts';
import { BangerError } from '../model/errors.ts';
import { newOption } from './command.ts';
import { parseInteger } from './values.ts';

/** `--tail`; its value is Infinity for `all`, because commander turns undefined into an empty text. */
export function tailOption(): Option<'-n, --tail <lines>', undefined, undefined, number, false, undefined> {
  const parse = (value: string): number => (value === 'all' ? Infinity : parseInteger('--tail', value, { min: 0, max: 999_999_999 }));
  return newOption('-n, --tail <lines>', 'number of lines from the end; -f prints all later ones (default: all)').argParser(parse);
}

/** RFC 3339; time of day, seconds and zone may be missing. Without a zone it is local time. */
const MOMENT = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * Reads a duration ago or a time. Ten digits are seconds since 1970, fewer are seconds ago. @returns milliseconds since 1970. @throws
 * INVALID_INPUT
 */
export function parseSince(value: string): number {
  const durationMs = parseDuration(value);
  if (durationMs !== undefined) return Date.now() - durationMs;
  if (/^\d{10}$/.test(value)) return Number(value) * 1000;
  // A day begins at local midnight, not at UTC's.
  const text = value.length === 10 ? `${value}T00:00` : value.replace(' ', 'T');
  const moment = MOMENT.test(value) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(moment)) return moment;
  throw new BangerError('INVALID_INPUT', `--since: ${JSON.stringify(value.slice(0, 80))} is not a time`, {
    remedy: 'give a duration such as 10m or 2h, or a time such as 2026-01-31T08:00:00Z',
  });
}
