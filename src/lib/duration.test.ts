import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatDuration, parseDuration } from './duration.ts';

test('durations are read with and without units, and nothing else is (1.7)', () => {
  const good: [string, number][] = [
    ['90', 90_000],
    ['1.5m', 90_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1m30s', 90_000],
    ['0', 0],
  ];
  for (const [text, expected] of good) assert.equal(parseDuration(text), expected, text);
  for (const text of ['', '-1', '1x', 's', '1h30', 'NaN', '1e3', '5 s']) assert.equal(parseDuration(text), undefined, text);
});

test('durations are shown with two units at most (1.7)', () => {
  const cases: [number, string][] = [
    [0, '0ms'],
    [999, '999ms'],
    [1400, '1.4s'],
    [9949, '9.9s'],
    [9960, '10s'],
    [59_600, '1m00s'],
    [185_000, '3m05s'],
    [7_800_000, '2h10m'],
    [356_400_000, '4d3h'],
  ];
  for (const [ms, expected] of cases) assert.equal(formatDuration(ms), expected);
});

test('ages are shown with one unit, clock skew is "just now" (1.7)', () => {
  const s = 1000;
  const cases: [number, string][] = [
    [-50 * s, 'just now'],
    [30 * s, '30s ago'],
    [200 * s, '3m ago'],
    [7200 * s, '2h ago'],
    [3 * 86_400 * s, '3d ago'],
    [90 * 86_400 * s, '3 months ago'],
    [800 * 86_400 * s, '2 years ago'],
  ];
  for (const [ms, expected] of cases) assert.equal(formatAge(1e12 - ms, 1e12), expected);
  assert.equal(formatAge(Number.NaN, 0), 'unknown');
});
