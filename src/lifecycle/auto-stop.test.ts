import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Vm } from '../model/vm.ts';
import { type AutoStopOptions, createAutoStop } from './auto-stop.ts';
import type { LiveMachine } from '../context/machines.ts';

const HOUR = 3_600_000;

/** A host whose clock goes only when it is told to, with timers that fire by it. */
let nowMs: number;
let timers: { atMs: number; callback: () => void }[];
let vms: Map<string, Vm>;
let sessions: Map<string, number>;
let connected: Set<string>;
let stopped: string[];
let told: string[];

beforeEach(() => {
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  [timers, vms, sessions, connected, stopped, told] = [[], new Map(), new Map(), new Set(), [], []];
});

const isoNow = (): string => new Date(nowMs).toISOString();

function run(name: string): void {
  const spec = { vcpuCount: 1, memoryMib: 128, workDiskBytes: 1, rootOverlayBytes: 1, nat: true };
  const record = { id: name, name, imageId: '1', imageName: 'default', spec, networkIndex: vms.size + 2, createdAt: isoNow() };
  const rest = {
    startedAt: isoNow(),
    lastUsedAt: isoNow(),
    runtime: null,
    sleep: null,
    keepAwake: null,
    sshHostKey: null,
    lastError: null,
    forwards: [],
    labels: {},
  };
  vms.set(name, { ...record, ...rest, state: 'running' });
}

function change(name: string, members: Partial<Vm>): Vm {
  const vm = { ...(vms.get(name) as Vm), ...members };
  vms.set(name, vm);
  return vm;
}

const use = (name: string): Vm => change(name, { lastUsedAt: isoNow() });

function autoStop(staleAfterMs: number | null, stop?: AutoStopOptions['stop']) {
  const services = {
    vms: {
      records: { list: () => [...vms.values()], update: change },
      machines: { find: (id: string) => ({ sessions: sessions.get(id) ?? 0 }) as LiveMachine },
      drivers: { addressOnHost: (_runtime: unknown, addresses: { loopbackAddress: string }) => addresses.loopbackAddress },
    },
    world: {
      processes: { connectedAddresses: () => Promise.resolve(connected) },
      clock: { now: () => new Date(nowMs) },
      warn: (message: string) => told.push(message),
    },
  } as unknown as AutoStopOptions['services'];
  return createAutoStop({
    services,
    staleAfterMs,
    timer(callback, delayMs) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.push(timer);
      return () => void (timers = timers.filter((other) => other !== timer));
    },
    stop:
      stop ??
      ((vm, reason) => {
        if (reason(vms.get(vm.name) ?? vm) === undefined) return Promise.resolve();
        stopped.push(vm.name);
        change(vm.name, { state: 'stopped' });
        return Promise.resolve();
      }),
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
    autoStop(2 * HOUR).arm();
    await pass(2 * HOUR - 1);
    assert.deepEqual(stopped, []);
    await pass(1);
    assert.deepEqual(stopped, ['web']);
    assert.match(told.join(), /web was not used for 2h00m \(auto_stop_stale_after\)/);
  });

  test('is never stopped when that is switched off, and no timer runs (3.9)', async () => {
    run('web');
    autoStop(null).arm();
    assert.equal(await pass(1000 * HOUR), 0);
    assert.deepEqual([stopped, timers], [[], []]);
  });

  test('gets a full time after its last use, for one wake-up each time (3.9)', async () => {
    run('web');
    autoStop(2 * HOUR).arm();
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
    autoStop(HOUR).arm();
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
    autoStop(HOUR).arm();
    await pass(5 * HOUR);
    assert.equal(vms.get('web')?.lastUsedAt, isoNow());
    connected.clear();
    await pass(HOUR);
    assert.deepEqual(stopped, ['web']);
  });

  test('is not stopped when a session began after it was judged (3.9)', async () => {
    run('web');
    autoStop(HOUR, (vm, reason) => {
      sessions.set('web', 1);
      assert.equal(reason(vm), undefined);
      return Promise.resolve();
    }).arm();
    assert.equal(await pass(HOUR), 1);
  });

  test('gets a full period from the start of the daemon, which does not know earlier uses (3.9)', async () => {
    run('web');
    await pass(100 * HOUR);
    autoStop(HOUR).arm();
    await pass(HOUR - 1);
    assert.deepEqual(stopped, []);
    await pass(1);
    assert.deepEqual(stopped, ['web']);
  });
});

test('of several VMs each has its own time, with one timer (3.9)', async () => {
  const watch = autoStop(HOUR);
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
  autoStop(HOUR, () => Promise.resolve(tries++)).arm();
  await pass(4 * HOUR);
  assert.equal(tries, 4);
});

test('nothing is done once the daemon ends (3.9)', async () => {
  run('web');
  const watch = autoStop(HOUR);
  watch.arm();
  watch.end();
  watch.arm();
  assert.equal(await pass(9 * HOUR), 0);
});
