import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideClock } from './clock-decisions.ts';

const reading = (offsetMs: number, more: { uncertaintyMs?: number; isKeptInside?: boolean } = {}) => ({
  offsetMs,
  uncertaintyMs: 1,
  isKeptInside: false,
  ...more,
});

test('after a gap a clock is set at once, forwards and backwards, and left when it is right (10.8)', () => {
  assert.deepEqual(decideClock(reading(-15_000), 'gap'), { do: 'step', byMs: 15_000 });
  assert.deepEqual(decideClock(reading(30), 'gap'), { do: 'step', byMs: -30 });
  assert.deepEqual(decideClock(reading(-10), 'gap'), { do: 'slew', byMs: 10 });
  assert.deepEqual(decideClock(reading(3), 'gap'), { do: 'nothing' });
});

test('at other times a small offset is slewed, so that no program sees time go back, and a large one set (10.8)', () => {
  assert.deepEqual(decideClock(reading(80), 'watch'), { do: 'slew', byMs: -80 });
  assert.deepEqual(decideClock(reading(-300), 'watch'), { do: 'step', byMs: 300 });
  assert.deepEqual(decideClock(reading(4), 'watch'), { do: 'nothing' });
});

test('an offset within the travel time of the reading is ignored (10.8)', () => {
  for (const occasion of ['gap', 'watch'] as const) {
    assert.deepEqual(decideClock(reading(-60, { uncertaintyMs: 60 }), occasion), { do: 'nothing' });
    assert.deepEqual(decideClock(reading(-500, { uncertaintyMs: 60 }), occasion), { do: 'step', byMs: 500 });
  }
});

test('a clock that an NTP program of the guest keeps is left to it, but for gaps (10.8)', () => {
  assert.deepEqual(decideClock(reading(70, { isKeptInside: true }), 'watch'), { do: 'nothing' });
  assert.deepEqual(decideClock(reading(700, { isKeptInside: true }), 'watch'), { do: 'nothing' });
  assert.deepEqual(decideClock(reading(-10, { isKeptInside: true }), 'gap'), { do: 'nothing' });
  assert.deepEqual(decideClock(reading(-5000, { isKeptInside: true }), 'gap'), { do: 'step', byMs: 5000 });
});
