import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { NEVER_RUN, type Vm, type VmSpec } from '../../model/vm.ts';
import { createIdleWatch, type IdleWatchOptions } from './watch.ts';
import type { LiveMachine } from '../../context/machines.ts';

const HOUR = 3_600_000;

/** A host whose clock goes only when it is told to, with timers that fire by it. */
let nowMs: number;
let timers: { atMs: number; callback: () => void }[];
let vms: Map<string, Vm>;
let sessions: Map<string, number>;
let connected: Set<string>;
let stopped: string[];
let told: string[];
/** What was done to VMs besides being stopped. */
let done: string[];
let cpuMs: Map<string, number>;
let operations: { vmId: string; state: string }[];

beforeEach(() => {
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  [timers, vms, sessions, connected, stopped, told] = [[], new Map(), new Map(), new Set(), [], []];
  [done, cpuMs, operations] = [[], new Map(), []];
});

const isoNow = (): string => new Date(nowMs).toISOString();

function run(name: string, idle: Partial<VmSpec> = {}): void {
  const spec = { vcpuCount: 1, memoryMib: 128, workDiskBytes: 1, rootOverlayBytes: 1, nat: true, ...idle };
  const record = { id: name, name, imageId: '1', imageName: 'default', spec, networkIndex: vms.size + 2, createdAt: isoNow() };
  vms.set(name, { ...NEVER_RUN, ...record, state: 'running', startedAt: isoNow(), lastUsedAt: isoNow() });
}

function change(name: string, members: Partial<Vm>): Vm {
  const vm = { ...(vms.get(name) as Vm), ...members };
  vms.set(name, vm);
  return vm;
}

const use = (name: string): Vm => change(name, { lastUsedAt: isoNow() });

type Rest = IdleWatchOptions['rest'];

/** As the verbs do it: the state changes, and since then it sleeps. */
const rest: Rest = (tier, vm, reason) => {
  const present = vms.get(vm.name) ?? vm;
  if (reason(present) === undefined) return Promise.resolve();
  if (tier === 'stop') stopped.push(vm.name);
  else done.push(`${tier} ${vm.name}`);
  const sleep = { since: isoNow(), why: 'idle', ports: [] } as const;
  change(vm.name, tier === 'stop' ? { state: 'stopped' } : { state: tier === 'pause' ? 'paused' : 'suspended', sleep });
  return Promise.resolve();
};

const wake: IdleWatchOptions['wake'] = (vm) => {
  done.push(`wake ${vm.name}`);
  return Promise.resolve(change(vm.name, { state: 'running', sleep: null, lastUsedAt: isoNow() }));
};

const CAN_ALL = { pause: () => Promise.resolve(), createSnapshot: () => Promise.resolve() };

function watchFor(staleAfterMs: number | null, options: { rest?: Rest; wake?: IdleWatchOptions['wake']; machine?: object } = {}) {
  const services = {
    vms: {
      records: { list: () => [...vms.values()], find: (id: string) => vms.get(id), update: change },
      machines: {
        find: (id: string) =>
          ({ sessions: sessions.get(id) ?? 0, machine: { ...(options.machine ?? CAN_ALL), process: id } }) as unknown as LiveMachine,
      },
      drivers: { addressOnHost: (_runtime: unknown, addresses: { loopbackAddress: string }) => addresses.loopbackAddress },
    },
    world: {
      processes: {
        connectedAddresses: () => Promise.resolve(connected),
        processUsage: (id: string) => Promise.resolve({ cpuMs: cpuMs.get(id) ?? 0, residentBytes: 0 }),
      },
      clock: { now: () => new Date(nowMs) },
      warn: (message: string) => told.push(message),
    },
    operations: { list: () => operations },
  } as unknown as IdleWatchOptions['services'];
  return createIdleWatch({
    ...{ services, staleAfterMs, rest, wake, ...options },
    timer(callback, delayMs) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.push(timer);
      return () => void (timers = timers.filter((other) => other !== timer));
    },
    log: (message) => told.push(message),
  });
}

/** Lets time pass. @returns how often a timer fired */
async function pass(ms: number): Promise<number> {
  const endMs = nowMs + ms;
  let fired = 0;
  for (;;) {
    const next = timers.toSorted((a, b) => a.atMs - b.atMs).find((timer) => timer.atMs <= endMs);
    if (next === undefined) break;
    timers = timers.filter((timer) => timer !== next);
    nowMs = next.atMs;
    fired++;
    next.callback();
    await new Promise((resolve) => setImmediate(resolve));
  }
  nowMs = endMs;
  return fired;
}

describe('a VM that nobody uses', () => {
  test('is stopped after the time, with the reason (3.9)', async () => {
    run('web');
    watchFor(2 * HOUR).arm();
    await pass(2 * HOUR - 1);
    assert.deepEqual(stopped, []);
    await pass(1);
    assert.deepEqual(stopped, ['web']);
    assert.match(told.join(), /web was not used for 2h00m \(auto_stop_stale_after\)/);
  });

  test('is never stopped when that is switched off, and no timer runs (3.9)', async () => {
    run('web');
    watchFor(null).arm();
    assert.equal(await pass(1000 * HOUR), 0);
    assert.deepEqual([stopped, timers], [[], []]);
  });

  test('gets a full time after its last use, for one wake-up each time (3.9)', async () => {
    run('web');
    watchFor(2 * HOUR).arm();
    await pass(HOUR);
    use('web');
    assert.equal(await pass(2 * HOUR - 1), 1);
    assert.deepEqual(stopped, []);
    await pass(1);
    assert.deepEqual(stopped, ['web']);
  });

  test('is not stopped while a session is open, and a full time after its end (3.9)', async () => {
    run('web');
    sessions.set('web', 1);
    watchFor(HOUR).arm();
    await pass(24 * HOUR + 1);
    assert.deepEqual(stopped, []);
    sessions.set('web', 0);
    use('web');
    await pass(HOUR - 1);
    assert.deepEqual(stopped, []);
    await pass(HOUR);
    assert.deepEqual(stopped, ['web']);
  });

  test('is not stopped while a connection leads to it, and that counts as a use (3.9)', async () => {
    run('web');
    connected.add('127.213.0.2');
    watchFor(HOUR).arm();
    await pass(5 * HOUR);
    assert.equal(vms.get('web')?.lastUsedAt, isoNow());
    connected.clear();
    await pass(HOUR);
    assert.deepEqual(stopped, ['web']);
  });

  test('is not stopped when a session began after it was judged (3.9)', async () => {
    run('web');
    watchFor(HOUR, {
      rest: (_tier, vm, reason) => {
        sessions.set('web', 1);
        assert.equal(reason(vm), undefined);
        return Promise.resolve();
      },
    }).arm();
    assert.equal(await pass(HOUR), 1);
  });

  test('gets a full period from the start of the daemon, which does not know earlier uses (3.9)', async () => {
    run('web');
    await pass(100 * HOUR);
    watchFor(HOUR).arm();
    await pass(HOUR - 1);
    assert.deepEqual(stopped, []);
    await pass(1);
    assert.deepEqual(stopped, ['web']);
  });
});

test('of several VMs each has its own time, with one timer (3.9)', async () => {
  const watch = watchFor(HOUR);
  run('web');
  watch.arm();
  await pass(HOUR / 2);
  run('db');
  watch.arm();
  assert.equal(timers.length, 1);
  await pass(HOUR / 2);
  assert.deepEqual(stopped, ['web']);
  assert.equal(await pass(HOUR / 2), 1);
  assert.deepEqual(stopped, ['web', 'db']);
  assert.equal(timers.length, 0);
  run('cache');
  watch.arm();
  assert.equal(timers.length, 1);
});

test('one that would not stop is tried again after the time, not at once (3.9)', async () => {
  run('web');
  let tries = 0;
  watchFor(HOUR, { rest: () => Promise.resolve(tries++) }).arm();
  await pass(4 * HOUR);
  assert.equal(tries, 4);
});

test('nothing is done once the daemon ends (3.9)', async () => {
  run('web');
  const watch = watchFor(HOUR);
  watch.arm();
  watch.end();
  watch.arm();
  assert.equal(await pass(9 * HOUR), 0);
});

describe('a VM that may sleep', () => {
  const MINUTE = 60_000;
  const BOTH = { pauseAfterSeconds: 600, suspendAfterSeconds: 3600 };

  test('is paused, and then suspended, each a time after its last use, with the reason (10.6)', async () => {
    run('web', BOTH);
    watchFor(null).arm();
    await pass(10 * MINUTE - 1);
    assert.deepEqual(done, []);
    await pass(1);
    assert.deepEqual(done, ['pause web']);
    await pass(50 * MINUTE - 1);
    assert.deepEqual(done, ['pause web']);
    await pass(1);
    assert.deepEqual(done, ['pause web', 'suspend web']);
    assert.match(
      told.join(),
      /web was not used for 10m00s \(pause-after\): it is paused,web was not used for 1h00m \(suspend-after\): it is suspended/,
    );
    assert.equal(await pass(24 * HOUR), 0, 'what is suspended costs no wake-up');
  });

  test('is suspended at once, or stopped, when that is all it may (10.6, 3.9)', async () => {
    run('web', { suspendAfterSeconds: 60 });
    run('db', { pauseAfterSeconds: 0 });
    watchFor(HOUR).arm();
    await pass(2 * HOUR);
    assert.deepEqual([done, stopped], [['suspend web'], ['db']]);
  });

  test('that is paused is stopped after the time for that (10.6, 3.9)', async () => {
    run('web', { pauseAfterSeconds: 60 });
    watchFor(HOUR).arm();
    await pass(HOUR);
    assert.deepEqual([done, stopped], [['pause web'], ['web']]);
  });

  test('does not, with an open session, a connection, a busy processor, an operation or a lease; each counts as a use (10.6)', async () => {
    for (const name of ['session', 'connection', 'processor', 'operation', 'lease']) run(name, BOTH);
    sessions.set('session', 1);
    connected.add('127.213.0.3');
    operations.push({ vmId: 'operation', state: 'running' });
    change('lease', { keepAwake: { until: null } });
    watchFor(null).arm();
    for (let minute = 0; minute < 30; minute++) {
      cpuMs.set('processor', (cpuMs.get('processor') ?? 0) + 0.06 * MINUTE);
      await pass(MINUTE);
    }
    assert.deepEqual(done, []);
    sessions.clear();
    use('session');
    connected.clear();
    operations.length = 0;
    change('lease', { keepAwake: { until: isoNow() } });
    await pass(9 * MINUTE);
    assert.deepEqual(done, [], 'they were in use until a moment ago');
    await pass(2 * MINUTE);
    assert.deepEqual(
      done.toSorted((one, other) => (one < other ? -1 : 1)),
      ['connection', 'lease', 'operation', 'processor', 'session'].map((name) => `pause ${name}`),
    );
  });

  test('does, although its guest does what idle guests do (10.6)', async () => {
    run('web', BOTH);
    watchFor(null).arm();
    for (let minute = 0; minute < 10; minute++) {
      cpuMs.set('web', (cpuMs.get('web') ?? 0) + 0.02 * MINUTE);
      await pass(MINUTE);
    }
    assert.deepEqual(done, ['pause web']);
  });

  test('is not paused before its processor was looked at for a time: it may have just booted (10.6)', async () => {
    run('web', { pauseAfterSeconds: 5 });
    watchFor(null).arm();
    await pass(5000);
    cpuMs.set('web', 4000);
    await pass(5000);
    assert.deepEqual(done, [], 'it was busy');
    await pass(5000);
    assert.deepEqual(done, ['pause web']);
  });

  test('sleeps when its lease is over, and not before (10.6)', async () => {
    run('web', BOTH);
    change('web', { keepAwake: { until: new Date(nowMs + HOUR).toISOString() } });
    watchFor(null).arm();
    await pass(HOUR + 10 * MINUTE - 1);
    assert.deepEqual(done, []);
    await pass(1);
    assert.deepEqual(done, ['pause web']);
  });

  test('stays up when its VMM can do neither, or a rescue runs; what a user paused is left alone (10.6)', async () => {
    run('web', BOTH);
    watchFor(null, { machine: {} }).arm();
    assert.equal(await pass(9 * HOUR), 0);
    change('web', { runtime: { bootId: 'b', rescue: true }, spec: { ...(vms.get('web') as Vm).spec, pauseAfterSeconds: 0 } });
    watchFor(null).arm();
    assert.equal(await pass(9 * HOUR), 0);
    change('web', { runtime: null, state: 'paused', sleep: { since: isoNow(), why: 'asked', ports: [] } });
    watchFor(null).arm();
    assert.equal(await pass(9 * HOUR), 0);
    assert.deepEqual(done, []);
  });

  test('wakes by its schedule, whoever put it to sleep, and not twice for one time (10.6)', async () => {
    // Local time, as a schedule is.
    nowMs = new Date(2026, 11, 4, 6, 0).getTime();
    run('web', { ...BOTH, wakeAt: '0 7 * * 1-5' });
    run('own', { wakeAt: '0 7 * * 1-5' });
    change('own', { state: 'suspended', sleep: { since: isoNow(), why: 'asked', ports: [] } });
    watchFor(null).arm();
    await pass(HOUR - 1);
    assert.deepEqual(done, ['pause web']);
    await pass(1);
    assert.deepEqual(done.slice(1).toSorted(), ['wake own', 'wake web']);
    await pass(2 * HOUR);
    assert.deepEqual(done.slice(3), ['pause web', 'suspend web']);
    await pass(3 * 24 * HOUR - 3 * HOUR);
    assert.deepEqual(done.slice(5), [], 'the weekend');
    await pass(HOUR);
    assert.deepEqual(done.slice(5), ['wake web']);
  });

  test('that does not wake by its schedule is tried again at the next time (10.6)', async () => {
    run('web', { wakeAt: '0 * * * *' });
    change('web', { state: 'suspended', sleep: { since: isoNow(), why: 'idle', ports: [] } });
    let tries = 0;
    watchFor(null, { wake: () => Promise.resolve(tries++) }).arm();
    await pass(3 * HOUR);
    assert.equal(tries, 3);
  });

  test('wakes when the daemon was away at the time (10.6)', async () => {
    run('web', { wakeAt: '0 * * * *' });
    change('web', { state: 'suspended', sleep: { since: isoNow(), why: 'idle', ports: [] } });
    await pass(5 * HOUR);
    watchFor(null).arm();
    await pass(0);
    assert.deepEqual(done, ['wake web']);
  });
});
