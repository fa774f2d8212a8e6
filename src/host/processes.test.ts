import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processUsage, startTicksOf } from './processes.ts';

test('the usage of a process comes from /proc: processor time and memory (3.11)', async () => {
  const own = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? 0 };
  const before = await processUsage(own);
  const end = performance.now() + 300;
  let rounds = 0;
  while (performance.now() < end) rounds++;
  const after = await processUsage(own);
  assert.ok(before !== undefined && after !== undefined && rounds > 0);
  // At most what went by, and what threads of the runtime did beside it; at least something, however busy the host is.
  const cpuMs = after.cpuMs - before.cpuMs;
  assert.ok(cpuMs >= 30 && cpuMs < 1500, `${cpuMs} ms`);
  const { rss } = process.memoryUsage();
  assert.ok(Math.abs(after.residentBytes - rss) < rss / 4, `${after.residentBytes} of ${rss}`);
});

test('there is no usage of another process with the same pid, or of a missing one (3.11)', async () => {
  assert.equal(await processUsage({ pid: process.pid, startTicks: 1 }), undefined);
  assert.equal(await processUsage({ pid: 2 ** 22 + 1, startTicks: 1 }), undefined);
});
