import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTime, parseSchedule } from './schedule.ts';

/** @param after local time @returns the next times, in local time */
function times(text: string, after: string, count = 1): string[] {
  const schedule = parseSchedule(text);
  assert.ok(!('problem' in schedule), JSON.stringify(schedule));
  const found: string[] = [];
  let ms: number | undefined = new Date(after).getTime();
  while (found.length < count && ms !== undefined) {
    ms = nextTime(schedule, ms);
    if (ms !== undefined) found.push(local(new Date(ms)));
  }
  return found;
}

function local(date: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

test('five fields of cron name the next times, in local time (10.6)', () => {
  // 2026-12-04 is a Friday.
  assert.deepEqual(times('0 7 * * 1-5', '2026-12-04T06:59:30', 2), ['2026-12-04T07:00', '2026-12-07T07:00']);
  assert.deepEqual(times('0 7 * * 1-5', '2026-12-04T07:00:00'), ['2026-12-07T07:00'], 'a time does not come twice');
  assert.deepEqual(times('*/20 9,17 * * *', '2026-12-04T09:30', 3), ['2026-12-04T09:40', '2026-12-04T17:00', '2026-12-04T17:20']);
  assert.deepEqual(times('30 23 31 12 *', '2026-12-31T23:30', 1), ['2027-12-31T23:30']);
  assert.deepEqual(times('0 0 29 2 *', '2026-12-04T00:00', 2), ['2028-02-29T00:00', '2032-02-29T00:00']);
  assert.deepEqual(times('0 0 * * 7', '2026-12-04T00:00', 1), ['2026-12-06T00:00'], 'Sunday is 0 and 7');
  assert.deepEqual(times('0 0 1 * 1', '2026-12-04T00:00', 3), ['2026-12-07T00:00', '2026-12-14T00:00', '2026-12-21T00:00']);
  assert.deepEqual(times('50/5 0-6/3 1 1 *', '2026-12-04T00:00', 3), ['2027-01-01T00:50', '2027-01-01T00:55', '2027-01-01T03:50']);
});

for (const [text, problem] of [
  ['', /0 fields/],
  ['7 * * *', /4 fields/],
  ['60 * * * *', /"60" is no minute/],
  ['0 24 * * *', /"24" is no hour/],
  ['0 0 0 * *', /"0" is no day of the month/],
  ['0 0 * 13 *', /no month/],
  ['0 0 * * 8', /no day of the week/],
  ['0 5-3 * * *', /"5-3"/],
  ['*/0 * * * *', /no minute/],
  ['0 7 * * mon', /"mon"/],
  ['0,,1 7 * * *', /""/],
  ['0 0 30 2 *', /never|ever/],
] as const) {
  test(`"${text}" is no schedule (10.6)`, () => {
    const parsed = parseSchedule(text);
    assert.match('problem' in parsed ? parsed.problem : 'it was taken', problem);
  });
}
