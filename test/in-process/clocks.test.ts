// A guest's clock is the host's after everything that can happen to either.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setClockInside } from '../../src/drivers/hypervisor/fake/guest.ts';
import type { FakeVmm } from '../../src/drivers/hypervisor/fake/world.ts';
import { jumpClock } from '../support/machine/clock.ts';
import { created, daemonFor, done, fakeOf, startDaemon, until } from '../support/daemon/test-daemon.ts';

const isRight = ({ guest }: FakeVmm): boolean => Math.abs(guest.clockOffsetMs ?? Number.NaN) < 20;
/** Whether anybody has looked at the clock since the orders were counted. */
const behind = (vmm: FakeVmm, ms: number): void => {
  vmm.guest.clockOffsetMs = (vmm.guest.clockOffsetMs ?? 0) - ms;
};

test('a guest gets the time at which it answers, not the time at which its boot began (10.8)', async (t) => {
  const { api, world } = await daemonFor(t);
  world.machines.inject('web', 'never-answer-agent');
  const begun = await api.createVm({ name: 'web' }, false);
  await until(() => world.machines.machines.size === 1);
  const startedAt = Date.now();
  await until(() => Date.now() - startedAt > 300);
  world.machines.heal('web', 'never-answer-agent');
  await done(api, Promise.resolve(begun));
  assert.ok(isRight(fakeOf(world, 'web')), `${fakeOf(world, 'web').guest.clockOffsetMs} ms`);
});

test('a clock that is wrong after the start, and after a restart of the daemon, is set (10.8)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web');
  const vmm = fakeOf(daemon.world, 'web');
  behind(vmm, 700);
  await until(() => isRight(vmm));
  await daemon.stop();
  behind(vmm, 5000);
  const next = await startDaemon(daemon.world);
  t.after(() => next.stop());
  await until(() => isRight(vmm));
});

test('a guest that was paused, or waited for a full disk, has the right time when it continues (10.8)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  await created(api, 'web');
  const vmm = fakeOf(world, 'web');
  const { machine } = services.vms.machines.get(await api.showVm('web'));
  await machine.pause?.();
  behind(vmm, 60_000);
  await machine.resume?.();
  await until(() => isRight(vmm));
  vmm.setDiskFull(true);
  behind(vmm, 90_000);
  vmm.setDiskFull(false);
  await until(() => isRight(vmm));
});

test("when the host's clock is set, or the host has slept, every guest follows; without a VM nothing watches the clock (10.8)", async (t) => {
  const listeners = new Set<() => void>();
  const clockJumps = {
    subscribe: (listener: () => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const { api, world } = await daemonFor(t, { clockJumps });
  assert.equal(listeners.size, 0);
  for (const name of ['web', 'db']) await created(api, name);
  await until(() => listeners.size === 2);
  for (const byMs of [3_600_000, -7_200_000]) {
    jumpClock(byMs);
    for (const name of ['web', 'db']) behind(fakeOf(world, name), byMs);
    for (const listener of listeners) listener();
    for (const name of ['web', 'db']) await until(() => isRight(fakeOf(world, name)));
  }
  for (const name of ['web', 'db']) await done(api, api.beginVm(name, 'kill'));
  assert.equal(listeners.size, 0);
});

test('a clock that is set in the guest is corrected at once (10.8)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  const { guest } = fakeOf(world, 'web');
  await until(() => guest.watchers.size === 1 && guest.clockReadings > 0);
  setClockInside(guest, -90_000);
  await until(() => isRight(fakeOf(world, 'web')));
});

test('a guest that uses NTP is only corrected after a gap, and vm health shows its clock (10.8)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  await created(api, 'web');
  const vmm = fakeOf(world, 'web');
  vmm.guest.isClockKept = true;
  behind(vmm, 12_000);
  const { machine } = services.vms.machines.get(await api.showVm('web'));
  await machine.pause?.();
  await machine.resume?.();
  await until(() => isRight(vmm));
  behind(vmm, 150);
  const { clockOffsetMs } = await api.health('web');
  assert.ok(clockOffsetMs !== null && clockOffsetMs < -100 && clockOffsetMs > -200, `${clockOffsetMs}`);
});
