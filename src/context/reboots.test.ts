import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReboots, REBOOT_LIMIT } from './reboots.ts';

/** Reboots with a clock and a timer that stand still until they are told to go on. */
function underClock() {
  let nowMs = 0;
  const timers = new Set<{ atMs: number; callback: () => void }>();
  const reboots = createReboots(
    () => nowMs,
    (callback, delayMs) => {
      const entry = { atMs: nowMs + delayMs, callback };
      timers.add(entry);
      return () => timers.delete(entry);
    },
  );
  const pass = (ms: number): void => {
    nowMs += ms;
    for (const entry of timers) if (entry.atMs <= nowMs && timers.delete(entry)) entry.callback();
  };
  return { reboots, pass, timers };
}

test('the first reboot waits for nothing, each that follows soon twice as long, and then no more (7.2)', () => {
  const { reboots, pass } = underClock();
  const delays = (): (number | undefined)[] => Array.from({ length: REBOOT_LIMIT.count + 1 }, () => reboots.delayMs('a'));
  assert.deepEqual(delays(), [0, 1000, 2000, 4000, 8000, undefined]);
  assert.equal(reboots.delayMs('b'), 0, 'another VM has its own');
  assert.equal(reboots.delayMs('a'), 0, 'who starts it again begins anew');
  pass(REBOOT_LIMIT.windowMs);
  assert.equal(reboots.delayMs('a'), 0, 'what is long over does not count');
});

test('a waiting VM boots once, unless a verb decides otherwise or the daemon ends (7.2)', () => {
  const { reboots, pass, timers } = underClock();
  const booted: string[] = [];
  const wait = (id: string) => reboots.schedule(id, 1000, () => void booted.push(id));
  wait('a');
  wait('b');
  pass(999);
  assert.equal(reboots.cancel('b'), true);
  pass(1);
  assert.deepEqual(booted, ['a']);
  assert.deepEqual([reboots.cancel('a'), reboots.cancel('b')], [false, false]);
  wait('c');
  assert.deepEqual(reboots.end(), ['c']);
  pass(10_000);
  assert.deepEqual([booted, timers.size], [['a'], 0]);
});
