import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuPercent, planSample, SHORTEST_INTERVAL_MS, type UsageSample } from './usage.ts';

const sample = (atMs: number, cpuMs: number, startTicks = 7): UsageSample => ({
  atMs,
  processes: new Map([['web', { cpuMs, residentBytes: 1, startTicks }]]),
});

test('usage is in percent of one processor; two busy ones make 200 (3.11)', () => {
  assert.equal(cpuPercent(sample(1000, 50), sample(1200, 150), 'web'), 50);
  assert.equal(cpuPercent(sample(1000, 0), sample(2000, 2000), 'web'), 200);
  assert.equal(cpuPercent(sample(1000, 70), sample(2000, 70), 'web'), 0);
  assert.equal(cpuPercent(sample(0, 0), sample(300, 1), 'web'), 0.3);
});

test('there is no usage of a VMM that was missing at one of the moments, or was another process (3.11)', () => {
  assert.equal(cpuPercent(sample(0, 0), sample(200, 5), 'db'), null);
  assert.equal(cpuPercent({ atMs: 0, processes: new Map() }, sample(200, 5), 'web'), null);
  assert.equal(cpuPercent(sample(0, 900, 7), sample(200, 5, 8), 'web'), null);
});

test('a sample is compared with the last one while that is fresh, and never over too short a time (3.11)', () => {
  assert.deepEqual(planSample(undefined), { usesLast: false, waitMs: SHORTEST_INTERVAL_MS });
  assert.deepEqual(planSample(1000), { usesLast: true, waitMs: 0 });
  assert.deepEqual(planSample(50), { usesLast: true, waitMs: SHORTEST_INTERVAL_MS - 50 });
  assert.deepEqual(planSample(60_000), { usesLast: false, waitMs: SHORTEST_INTERVAL_MS });
});
