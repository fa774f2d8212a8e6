// What a guest does to hurt its host: it reboots for ever, claims to be ready and is silent, and sends what a terminal would obey.
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { BangerError } from '../../src/model/errors.ts';
import { REBOOT_LIMIT } from '../../src/lifecycle/reboot-limit.ts';
import { createTestWorld } from '../support/test-world.ts';
import { created, daemonFor, done, fakeOf, startDaemon, until } from '../support/test-daemon.ts';
import { runInProcess } from '../support/run-cli.ts';

test('a guest that reboots in a loop ends stopped, says so, and can be started again (7.2)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  for (let reboot = 0; reboot <= REBOOT_LIMIT.count; reboot++) {
    const before = fakeOf(world, 'web');
    before.end({ cause: 'guest-reset', detail: 'reboot' });
    if (reboot === REBOOT_LIMIT.count) break;
    await until(async () => {
      const { state, pid } = await api.showVm('web');
      return state === 'running' && pid !== before.process.pid;
    });
  }
  await until(async () => (await api.showVm('web')).lastError !== null);
  const { state, lastError } = await api.showVm('web');
  assert.equal(state, 'stopped');
  assert.match(lastError ?? '', /rebooted itself more than 5 times in 5 minutes/);
  await done(api, api.beginVm('web', 'start'));
  assert.equal((await api.showVm('web')).lastError, null);
});

test('a guest that was ready and goes silent is told of in time, is listed, and can be killed (7.2, 3.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  world.machines.inject('web', 'never-answer-agent');
  const asked = Array.from({ length: 40 }, () => api.ports('web').then(String, (error: BangerError) => error.code));
  for (const outcome of await Promise.all(asked)) assert.equal(outcome, 'AGENT_UNREACHABLE');
  assert.equal((await api.listVms()).length, 1);
  await done(api, api.beginVm('web', 'stop', { graceMs: 100 }));
  await done(api, api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('a VM that its VMM paused for a full disk says so, in list and show, and when it is over (5.4)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  let daemon = await startDaemon(world);
  t.after(() => daemon.stop());
  await created(daemon.api, 'web');
  const vmm = fakeOf(world, 'web');
  vmm.setDiskFull(true);
  assert.match((await daemon.api.showVm('web')).lastError ?? '', /^the host's disk is full: it is paused/);
  assert.match((await runInProcess(world.env, ['vm', 'list'])).stdout, /running \(!\)/);
  await daemon.stop();
  daemon = await startDaemon(world);
  assert.match((await daemon.api.showVm('web')).lastError ?? '', /^the host's disk is full/, 'the next daemon knows it too');
  await daemon.stop();
  // It went on while nobody looked.
  vmm.isDiskFull = false;
  daemon = await startDaemon(world);
  assert.deepEqual([(await daemon.api.showVm('web')).state, (await daemon.api.showVm('web')).lastError], ['running', null]);
  assert.ok(daemon.log.some(({ msg }) => msg === 'a VM has space again'));
});

test('a VM has so many sessions and no more: others wait for their turn, too many are refused, and the VM can still be looked at and stopped (7.2)', async (t) => {
  const tunnels: Duplex[] = [];
  // Before the daemon ends, which waits for its clients.
  t.after(() => {
    for (const tunnel of tunnels) tunnel.destroy();
  });
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  fakeOf(world, 'web').guest.services.set(7, (data) => data);
  const open = () => api.tunnel('web', '127.0.0.1:7');
  for (let count = 0; count < 12; count++) tunnels.push(await open());
  const waiting = Array.from({ length: 64 }, () => open());
  const outcomes = Promise.allSettled(waiting);
  const open77 = async (): Promise<void> => void tunnels.push(await open());
  // Requests come in any order: the one too many is refused whichever it is.
  await assert.rejects(
    Promise.race([open77(), ...waiting.map((one) => one.then(() => new Promise(() => undefined)))]),
    (error: BangerError) => {
      assert.deepEqual([error.code, error.message], ['BUSY', 'VM web has 12 sessions open, which is as many as it can have']);
      return /banger vm ports web/.test(error.remedy ?? '');
    },
  );
  assert.equal((await api.ports('web')).length, 1);
  assert.equal((await api.health('web')).agent, 'ok');
  tunnels[0]?.destroy();
  // One that waited has its turn now; the others learn that the VM ends.
  await Promise.any(waiting).then((tunnel) => tunnels.push(tunnel));
  await done(api, api.beginVm('web', 'stop'));
  const refused = (await outcomes).filter(({ status }) => status === 'rejected');
  assert.ok(refused.length >= 62, `${refused.length} were told`);
});
