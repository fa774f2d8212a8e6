import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Activity, BootWatch, cpuLimitMs } from './boot-watch.ts';

/** A boot that is watched, with time of its own. @returns what passes time, and what was seen */
function watched(
  t: TestContext,
  activity: (seconds: number) => Activity | undefined,
  options: { vcpuCount?: number; isWaiting?: boolean } = {},
) {
  let seconds = 0;
  let waiting: { until: number; wake: () => void }[] = [];
  const time = {
    now: () => seconds * 1000,
    wait: (ms: number) => new Promise<void>((wake) => void waiting.push({ until: seconds * 1000 + ms, wake })),
  };
  const over = new AbortController();
  const experience = { firstWords: 700, agent: 2000 };
  t.after(() => over.abort());
  const seen: string[] = [];
  const watch = new BootWatch(
    {
      vcpuCount: options.vcpuCount ?? 2,
      activity: () => Promise.resolve(activity(seconds)),
      isPaused: () => false,
      over: over.signal,
      time,
    },
    experience,
  );
  void watch.hung.then((reason) => seen.push(reason));
  if (options.isWaiting !== true) watch.begin();
  const pass = async (count: number): Promise<void> => {
    for (let each = 0; each < count; each++) {
      seconds++;
      const due = waiting.filter(({ until }) => until <= seconds * 1000);
      waiting = waiting.filter((one) => !due.includes(one));
      for (const { wake } of due) wake();
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  };
  return { watch, over, seen, pass, experience };
}

const busy = (seconds: number): Activity => ({ cpuMs: seconds * 200, waitedMs: seconds * 500 });

test('a kernel that lost its timer is recognised within a second, however its words are cut (4.2)', async (t) => {
  const { watch, seen, pass } = watched(t, busy);
  watch.onOutput(Buffer.from('[    0.41] APIC frequency too sl'));
  watch.onOutput(Buffer.from('ow, disabling apic timer\r\n'));
  await pass(2);
  assert.deepEqual(seen, ['its kernel said "APIC frequency too slow, disabling apic timer"']);
});

test('with one processor it is given the time in which most guests come up without (4.2)', async (t) => {
  const { watch, over, seen, pass } = watched(t, busy, { vcpuCount: 1 });
  watch.onOutput(Buffer.from('APIC timer disabled due to verification failure\n'));
  await pass(5);
  over.abort();
  await pass(10);
  assert.deepEqual(seen, []);
});

test('a guest that neither computes nor waits for a processor hangs (4.2)', async (t) => {
  const { seen, pass } = watched(t, () => ({ cpuMs: 700, waitedMs: 100 }));
  await pass(8);
  assert.deepEqual(seen, []);
  await pass(2);
  assert.deepEqual(seen, ['it did nothing for 8 seconds']);
});

test('one that computes far longer than any other hangs (4.2)', async (t) => {
  const { watch, seen, pass } = watched(t, (seconds) => ({ cpuMs: seconds * 1000, waitedMs: 0 }));
  watch.onOutput(Buffer.from('[    1.2] PCI: System does not support PCI\r\n'));
  await pass(10);
  assert.deepEqual(seen, []);
  await pass(2);
  assert.deepEqual(seen, ['it computed for 10 seconds and came to nothing']);
});

test('a kernel that computes and says nothing hangs far sooner (4.2)', async (t) => {
  const { seen, pass } = watched(t, (seconds) => ({ cpuMs: seconds * 1000, waitedMs: 0 }));
  await pass(4);
  assert.deepEqual(seen, []);
  await pass(2);
  assert.deepEqual(seen, ['it computed for 4 seconds and said nothing']);
});

test('a busy host, a stopped VMM and a slow disk are no hang, however long they last (4.2)', async (t) => {
  const starved = watched(t, (seconds) => ({ cpuMs: seconds * 10, waitedMs: seconds * 900 }));
  await starved.pass(300);
  assert.deepEqual(starved.seen, []);
});

test('how long a VMM takes before its guest runs is no part of the boot (4.2)', async (t) => {
  const { watch, seen, pass } = watched(t, (seconds) => ({ cpuMs: 10 * seconds, waitedMs: 0 }), { isWaiting: true });
  await pass(300);
  assert.deepEqual(seen, []);
  watch.begin();
  await pass(12);
  assert.deepEqual(seen, ['it did nothing for 8 seconds']);
});

test("while the VMM's activity is unknown, nothing is concluded (4.2)", async (t) => {
  const stopped = watched(t, (seconds) => (seconds % 7 === 0 ? { cpuMs: 1, waitedMs: 0 } : undefined));
  await stopped.pass(300);
  assert.deepEqual(stopped.seen, []);
});

test('successful boots teach how long a boot takes on this host (4.2)', async (t) => {
  const limits = (known: number | undefined) => [
    cpuLimitMs({ firstWords: known, agent: undefined }, 'firstWords'),
    cpuLimitMs({ firstWords: undefined, agent: known }, 'agent'),
  ];
  assert.deepEqual([undefined, 100, 4000, 90_000].map(limits), [
    [12_000, 30_000],
    [4000, 10_000],
    [16_000, 16_000],
    [30_000, 30_000],
  ]);
  const silent = watched(t, () => ({ cpuMs: 5000, waitedMs: 0 }));
  await silent.watch.learn();
  assert.deepEqual(silent.experience, { firstWords: 5000, agent: 5000 });
  const spoke = watched(t, () => ({ cpuMs: 900, waitedMs: 0 }));
  spoke.watch.onOutput(Buffer.from('PCI'));
  await spoke.pass(1);
  assert.deepEqual(spoke.experience, { firstWords: 900, agent: 2000 });
});
