// Times of day in the form of cron. Implemented here, because parsers of npm bring time zones, names and seconds, and none of it is needed.

/** The moments that five fields describe: minute, hour, day of the month, month, day of the week, in local time. */
export type Schedule = {
  minutes: ReadonlySet<number>;
  hours: ReadonlySet<number>;
  days: ReadonlySet<number>;
  months: ReadonlySet<number>;
  weekdays: ReadonlySet<number>;
  /** As in cron: if both kinds of days are limited, one of them is enough. */
  isEitherDay: boolean;
};

const FIELDS = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of the month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12 },
  { name: 'day of the week', min: 0, max: 7 },
] as const;

/** 29 February comes after eight years at the latest; what does not come by then never does. */
const MOST_DAYS = 8 * 366;

/** Reads `0 7 * * 1-5`: numbers, `*`, lists, ranges and steps. @returns the schedule, or what is wrong with the text */
export function parseSchedule(text: string): Schedule | { problem: string } {
  const words = text.trim().split(/\s+/);
  if (words.length !== FIELDS.length) {
    return { problem: `it has ${text.trim() === '' ? 0 : words.length} fields and not 5: minute, hour, day, month, day of the week` };
  }
  const sets = FIELDS.map((field, at) => parseField(words[at] ?? '', field));
  for (const set of sets) if ('problem' in set) return set;
  const [minutes, hours, days, months, someWeekdays] = sets as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  const weekdays = new Set([...someWeekdays].map((day) => day % 7));
  const isEitherDay = !words[2]?.startsWith('*') && !words[4]?.startsWith('*');
  const schedule = { minutes, hours, days, months, weekdays, isEitherDay };
  return nextTime(schedule, Date.now()) === undefined ? { problem: 'no such day ever comes' } : schedule;
}

type Field = (typeof FIELDS)[number];

function parseField(word: string, { name, min, max }: Field): Set<number> | { problem: string } {
  const values = new Set<number>();
  for (const part of word.split(',')) {
    const [, all, first, last, step] = /^(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
    const from = all === undefined ? Number(first) : min;
    const to = all !== undefined || (last === undefined && step !== undefined) ? max : Number(last ?? first);
    const by = Number(step ?? 1);
    const isGood = from >= min && to <= max && from <= to && by > 0;
    if (!isGood) return { problem: `"${part}" is no ${name} (${min} to ${max})` };
    for (let value = from; value <= to; value += by) values.add(value);
  }
  return values;
}

/** @returns the first time after `afterMs`, in milliseconds; undefined if there is none */
export function nextTime(schedule: Schedule, afterMs: number): number | undefined {
  const start = new Date(afterMs);
  for (let ahead = 0; ahead < MOST_DAYS; ahead++) {
    const day = new Date(start.getFullYear(), start.getMonth(), start.getDate() + ahead);
    const found = isDay(schedule, day) ? timesOf(schedule, day).find((ms) => ms > afterMs) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function isDay({ days, months, weekdays, isEitherDay }: Schedule, day: Date): boolean {
  if (!months.has(day.getMonth() + 1)) return false;
  const [isDate, isWeekday] = [days.has(day.getDate()), weekdays.has(day.getDay())];
  return isEitherDay ? isDate || isWeekday : isDate && isWeekday;
}

/** An hour that a change of the clocks skips comes an hour later. */
function timesOf({ hours, minutes }: Schedule, day: Date): number[] {
  const at = (hour: number, minute: number): number => new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour, minute).getTime();
  return [...hours].flatMap((hour) => [...minutes].map((minute) => at(hour, minute))).toSorted((a, b) => a - b);
}
