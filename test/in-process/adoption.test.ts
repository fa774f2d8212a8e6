// Whatever keeps a daemon from adopting a VM that runs, the VM goes on, is shown as what it is, and is adopted when it can be.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createFakeHypervisor } from '../../src/drivers/hypervisor/fake/driver.ts';
import type { Hypervisor } from '../../src/drivers/hypervisor/contract.ts';
import type { Timer } from '../../src/context/timer.ts';
import { BangerError } from '../../src/model/errors.ts';
import { forceState } from '../support/daemon/force-state.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { assertMarked, mark } from '../support/daemon/soundness.ts';
import { created, type DaemonOptions, done, ended, fakeOf, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

/** What is in the way of a daemon, and how it goes away; `why` is what people are told. */
type Obstacle = { why: RegExp; options?(world: TestWorld): DaemonOptions; begin?(world: TestWorld): void; end?(world: TestWorld): void };

/** A timer that only moves by hand: nothing is tried again but what an event tries. */
const neverDue: Timer = () => () => undefined;

const errno = (code: string): Error => Object.assign(new Error(`${code}: as the kernel says`), { code });

/** The fake with something broken. */
const broken =
  (change: Partial<Hypervisor>) =>
  (world: TestWorld): DaemonOptions => ({
    drivers: { hypervisors: [{ ...createFakeHypervisor({ host: world.host, world: world.machines }), ...change }] },
  });

const refused = (reason: Error) => (): Promise<never> => Promise.reject(reason);

const OBSTACLES: Record<string, Obstacle> = {
  'its VMM does not answer': {
    why: /not adopted: the fake VMM does not answer/,
    begin: (world) => world.machines.inject('web', 'refuse-adoption'),
    end: (world) => world.machines.heal('web', 'refuse-adoption'),
  },
  'its VMM stands still': {
    why: /not adopted: the fake VMM does not answer/,
    begin: (world) => void world.host.signalProcess(fakeOf(world, 'web').process, 'SIGSTOP'),
    end: (world) => void world.host.signalProcess(fakeOf(world, 'web').process, 'SIGCONT'),
  },
  'the root helper that made it is gone': {
    why: /not adopted: the root helper does not answer/,
    options: broken({ adopt: refused(new BangerError('PREREQUISITE_MISSING', 'the root helper does not answer')) }),
  },
  'its driver cannot even look': {
    why: /not adopted: the root helper does not answer/,
    options: broken({
      find: refused(new BangerError('PREREQUISITE_MISSING', 'the root helper does not answer')),
      adopt: refused(new BangerError('PREREQUISITE_MISSING', 'the root helper does not answer')),
    }),
  },
  'its driver is not part of the daemon': {
    why: /not adopted: the hypervisor driver "fake".* not part/,
    options: broken({ name: 'other' }),
  },
  'the daemon has too many files open': {
    why: /not adopted: EMFILE/,
    options: broken({ find: refused(errno('EMFILE')), adopt: refused(errno('EMFILE')) }),
  },
  'its socket may not be opened': { why: /not adopted: EACCES/, options: broken({ adopt: refused(errno('EACCES')) }) },
  'processes cannot be looked at': {
    why: /not adopted: EMFILE/,
    options: (world) => ({
      drivers: {
        host: {
          ...world.host,
          isAlive: () => {
            throw errno('EMFILE');
          },
        },
      },
    }),
  },
};

type Lives = { world: TestWorld; next(options?: DaemonOptions): Promise<TestDaemon> };

/** A VM `web` that runs and was written to, and daemons that come one after the other. */
async function livesOf(t: TestContext, options: { isPlain?: boolean } = {}): Promise<Lives & { pid: number }> {
  const world = createTestWorld(options);
  let last: TestDaemon | undefined;
  t.after(async () => {
    await last?.stop();
    world.remove();
  });
  const next: Lives['next'] = async (more = {}) => {
    await last?.stop();
    return (last = await startDaemon(world, { timer: neverDue, ...more }));
  };
  const { api } = await next();
  mark(world, await created(api, 'web'));
  return { world, next, pid: fakeOf(world, 'web').process.pid };
}

async function assertLeftAlone({ api, world }: TestDaemon, pid: number, why: RegExp): Promise<void> {
  const vm = await api.showVm('web');
  assert.deepEqual([vm.state, vm.pid, fakeOf(world, 'web').process.pid], ['running', pid, pid]);
  assert.match(vm.lastError ?? '', why);
  assert.match((await runInProcess(world.env, ['vm', 'list'])).stdout, /web +running \(!\)/);
  assert.match((await runInProcess(world.env, ['vm', 'list', '-o', 'wide'])).stdout, why);
  const health = await api.health('web');
  assert.match(health.problem ?? '', why);
  const { findings } = await api.doctor();
  assert.ok(findings.some(({ level, reason, remedy }) => level === 'fail' && why.test(reason) && remedy === 'banger vm start web'));
  assert.deepEqual([...world.network.taps], [`bgr-${vm.id.slice(0, 8)}`]);
}

for (const [what, { why, options, begin, end }] of Object.entries(OBSTACLES)) {
  test(`a VM that cannot be adopted (${what}) continues, and is adopted once it can be (10.7)`, async (t) => {
    const { world, next, pid } = await livesOf(t);
    begin?.(world);
    for (let life = 0; life < 2; life++) {
      const daemon = await next(options?.(world));
      await assertLeftAlone(daemon, pid, why);
      for (const verb of ['start', 'stop', 'restart'] as const) {
        const { state, error } = await ended(daemon.api, await daemon.api.beginVm('web', verb));
        assert.deepEqual([verb, state, error?.code], [verb, 'failed', 'WRONG_STATE']);
        assert.equal(error?.remedy, 'banger vm kill web', `${verb}: not the command that has just failed`);
      }
      await assertLeftAlone(daemon, pid, why);
    }
    if (options === undefined) end?.(world);
    const { api } = options === undefined ? await next({}) : await next();
    assert.deepEqual([(await api.showVm('web')).lastError, (await api.health('web')).agent], [null, 'ok']);
    assert.equal(fakeOf(world, 'web').process.pid, pid);
    await done(api, api.beginVm('web', 'delete'));
    assert.deepEqual(world.remains(), []);
  });
}

for (const verb of ['start', 'set'] as const) {
  test(`vm ${verb} adopts a VM that could not be adopted before, once the obstacle is gone (10.7)`, async (t) => {
    const { world, next, pid } = await livesOf(t);
    world.machines.inject('web', 'refuse-adoption');
    const { api } = await next();
    world.machines.heal('web', 'refuse-adoption');
    await done(api, api.beginVm('web', verb, verb === 'set' ? { nat: false } : undefined));
    const vm = await api.showVm('web');
    assert.deepEqual([vm.state, vm.pid, vm.lastError], ['running', pid, null]);
    assert.equal((await api.health('web')).agent, 'ok');
    await done(api, api.beginVm('web', 'stop'));
    assertMarked(world, vm, verb);
  });
}

test('a VM that was not adopted is tried again by itself, less and less often, and by each request that asks about it (10.7)', async (t) => {
  const { world, next, pid } = await livesOf(t);
  world.machines.inject('web', 'refuse-adoption');
  const due: { callback: () => void; delayMs: number }[] = [];
  const timer: Timer = (callback, delayMs) => {
    due.push({ callback, delayMs });
    return () => undefined;
  };
  const { api } = await next({ timer });
  for (let tries = 1; tries < 8; tries++) {
    due.at(-1)?.callback();
    await until(() => due.length === tries + 1);
  }
  assert.deepEqual(
    due.map(({ delayMs }) => delayMs / 1000),
    [1, 2, 4, 8, 16, 30, 30, 30],
  );
  world.machines.heal('web', 'refuse-adoption');
  due.at(-1)?.callback();
  await until(async () => (await api.showVm('web')).lastError === null);
  assert.equal((await api.showVm('web')).pid, pid);
  world.machines.inject('web', 'refuse-adoption');
  const third = await next();
  world.machines.heal('web', 'refuse-adoption');
  assert.equal((await third.api.health('web')).agent, 'ok');
});

test('kill and delete end a VM that is not adopted, because a user asked for it (3.5, 10.7)', async (t) => {
  const { world, next } = await livesOf(t);
  world.machines.inject('*', 'refuse-adoption');
  const { api } = await next();
  await done(api, api.beginVm('web', 'kill', { signal: 'SIGSTOP' }));
  assert.equal(fakeOf(world, 'web').hung, true, 'another signal is sent and no more');
  await done(api, api.beginVm('web', 'kill'));
  assert.deepEqual([(await api.showVm('web')).state, world.machines.machines.size], ['stopped', 0]);
  world.machines.heal('*', 'refuse-adoption');
  await done(api, api.beginVm('web', 'start'));
  world.machines.inject('*', 'refuse-adoption');
  const third = await next();
  await done(third.api, third.api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('a VM that ends while it is not adopted is stopped and says why (3.8, 10.7)', async (t) => {
  const { world, next } = await livesOf(t);
  world.machines.inject('web', 'refuse-adoption');
  const { api } = await next();
  fakeOf(world, 'web').end({ cause: 'guest-poweroff', detail: 'it powered off' });
  assert.equal((await ended(api, await api.beginVm('web', 'stop'))).state, 'done');
  const { state, lastError } = await api.showVm('web');
  assert.deepEqual([state, lastError], ['stopped', 'the VM had ended when the daemon came back']);
  await done(api, api.beginVm('web', 'start'));
});

for (const isPlain of [false, true]) {
  test(`without its bundle a${isPlain ? ' plain' : ''} daemon adopts a running VM except for its network, which follows once the bundle is back (10.7)`, async (t) => {
    const { world, next, pid } = await livesOf(t, { isPlain });
    world.isBundleAway = true;
    for (let life = 0; life < 2; life++) {
      const daemon = await next();
      await assertLeftAlone(daemon, pid, /its network could not be adopted: there is no runtime bundle/);
      assert.equal((await daemon.api.health('web')).agent, 'ok');
      await done(daemon.api, daemon.api.beginVm('web', 'start'));
    }
    const { api } = await next();
    world.isBundleAway = false;
    await done(api, api.beginVm('web', 'start'));
    const { state, lastError } = await api.showVm('web');
    assert.deepEqual([state, lastError, fakeOf(world, 'web').process.pid], ['running', null, pid]);
    await done(api, api.beginVm('web', 'stop'));
    await done(api, api.beginVm('web', 'delete'));
    assert.deepEqual(world.remains(), []);
  });
}

test('a stopped VM starts as soon as the bundle is back, whatever was tried before (10.7)', async (t) => {
  const { world, next } = await livesOf(t);
  const { api: first } = await next();
  await done(first, first.beginVm('web', 'stop'));
  world.isBundleAway = true;
  const { api } = await next();
  assert.equal((await ended(api, await api.beginVm('web', 'start'))).state, 'failed');
  world.isBundleAway = false;
  await done(api, api.beginVm('web', 'start'));
  await done(api, api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('what a VM leaves in a missing network is swept once the network is back (9.5, 10.7)', async (t) => {
  const { world, next } = await livesOf(t);
  const due: (() => void)[] = [];
  world.isBundleAway = true;
  const { api } = await next({ timer: (callback) => (due.push(callback), () => undefined) });
  await done(api, api.beginVm('web', 'stop'));
  assert.equal(world.network.taps.size, 1);
  world.isBundleAway = false;
  for (const callback of due) callback();
  await until(() => world.network.taps.size === 0);
  await done(api, api.beginVm('web', 'start'));
});

test('a VM whose network ended while no daemon ran continues without it and names the remedy (10.7)', async (t) => {
  const { world, next, pid } = await livesOf(t);
  world.network.taps.clear();
  const { api } = await next();
  const vm = await api.showVm('web');
  assert.deepEqual([vm.state, vm.pid, (await api.health('web')).agent], ['running', pid, 'ok']);
  assert.match(vm.lastError ?? '', /its network could not be adopted: its holder has ended; banger vm restart web/);
  await done(api, api.beginVm('web', 'restart'));
  assert.equal((await api.showVm('web')).lastError, null);
});

test('a running VM is adopted even if its record says error or an unfinished start, once a user may have worked in it (10.7)', async (t) => {
  for (const state of ['error', 'starting'] as const) {
    const { next, pid } = await livesOf(t);
    const first = await next();
    forceState(first.services, (await first.api.showVm('web')).id, state, { lastError: 'it was not adopted' });
    const second = await next();
    const vm = await second.api.showVm('web');
    assert.deepEqual([vm.state, vm.pid, vm.lastError], ['running', pid, null], state);
  }
});

test('a start that the daemon did not survive is undone if no user can have worked in the guest yet (9.5, 10.7)', async (t) => {
  const { world, next } = await livesOf(t);
  const first = await next();
  forceState(first.services, (await first.api.showVm('web')).id, 'starting', { startedAt: null });
  const second = await next();
  assert.deepEqual([(await second.api.showVm('web')).state, world.machines.machines.size], ['stopped', 0]);
});

test('a VM is adopted through its socket if the record names another process as its VMM (3.8, 10.7)', async (t) => {
  const { world, next, pid } = await livesOf(t);
  for (const process of [{ pid: 1, startTicks: 1 }, undefined]) {
    const vms = (await next()).services.vms.records;
    const vm = vms.list()[0] ?? assert.fail();
    const { process: _before, ...runtime } = vm.runtime ?? assert.fail();
    vms.update(vm.id, { runtime: { ...runtime, ...(process === undefined ? {} : { process }) } });
    const second = await next();
    assert.deepEqual([(await second.api.showVm('web')).pid, fakeOf(world, 'web').process.pid], [pid, pid]);
  }
});
