// What a guest does to hurt its host: it reboots for ever, claims to be ready and is silent, and sends what a terminal would obey.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { BangerError } from '../../src/model/errors.ts';
import type { Timer } from '../../src/context/timer.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';
import { created, daemonFor, done, fakeOf, startDaemon, until } from '../support/daemon/test-daemon.ts';
import { runInProcess } from '../support/user/run-cli.ts';

/** A daemon whose timers wait for the test. */
async function waitingDaemon(t: TestContext) {
  const waiting: { delayMs: number; fire: () => void }[] = [];
  const timer: Timer = (callback, delayMs) => {
    const forget = (): void => void (waiting.includes(entry) && waiting.splice(waiting.indexOf(entry), 1));
    const fire = (): void => {
      forget();
      callback();
    };
    const entry = { delayMs, fire };
    waiting.push(entry);
    return forget;
  };
  return { ...(await daemonFor(t, { timer })), waiting };
}
type WaitingDaemon = Awaited<ReturnType<typeof waitingDaemon>>;

/** The guest reboots itself. @returns when the VM runs again or waits for it */
async function reboot({ api, world, waiting }: WaitingDaemon): Promise<void> {
  const before = fakeOf(world, 'web');
  before.end({ cause: 'guest-reset', detail: 'reboot' });
  await until(async () => {
    const { state, pid } = await api.showVm('web');
    return waiting.length > 0 || (state === 'running' && pid !== before.process.pid);
  });
}

async function isRunning({ api }: WaitingDaemon): Promise<boolean> {
  return (await api.showVm('web')).state === 'running';
}

test('a guest that reboots in a loop is booted later each time, ends up stopped with the reason, and can be started again (7.2)', async (t) => {
  const daemon = await waitingDaemon(t);
  const { api, waiting } = daemon;
  await created(api, 'web');
  await reboot(daemon);
  for (const delayMs of [1000, 2000, 4000, 8000]) {
    await reboot(daemon);
    assert.deepEqual(
      waiting.map((entry) => entry.delayMs),
      [delayMs],
    );
    const { state, lastError } = await api.showVm('web');
    assert.equal(state, 'stopped');
    assert.match(lastError ?? '', /^it reboots again and again, so its next boot waits until \d{4}-.*Z$/);
    assert.ok(daemon.log.some((line) => line.msg.includes('reboots again and again') && line['delayMs'] === delayMs));
    waiting[0]?.fire();
    await until(() => isRunning(daemon));
  }
  fakeOf(daemon.world, 'web').end({ cause: 'guest-reset', detail: 'reboot' });
  await until(async () => /more than 5 times in 5 minutes/.test((await api.showVm('web')).lastError ?? ''));
  assert.deepEqual([(await api.showVm('web')).state, waiting], ['stopped', []]);
  await done(api, api.beginVm('web', 'start'));
  assert.equal((await api.showVm('web')).lastError, null);
});

test('a VM whose init ends again and again stays stopped and names the rescue (7.2, 11.9)', async (t) => {
  const daemon = await waitingDaemon(t);
  const { api, waiting, services } = daemon;
  const vm = await created(api, 'web');
  const panic = 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00';
  writeFileSync(services.vms.pathsOf(vm).serialLog, `${panic}\n[ 3.1] Call Trace:\n`);
  await reboot(daemon);
  for (let again = 0; again < 4; again++) {
    await reboot(daemon);
    assert.match((await api.showVm('web')).lastError ?? '', /again and again \(its init ended: banger vm restart --rescue web\), so/);
    waiting[0]?.fire();
    await until(() => isRunning(daemon));
  }
  fakeOf(daemon.world, 'web').end({ cause: 'guest-reset', detail: 'reboot' });
  await until(
    async () => (await api.showVm('web')).lastError?.endsWith('stays stopped: its init ended; banger vm start --rescue web') ?? false,
  );
});

for (const action of ['stop', 'kill', 'delete', 'start'] as const) {
  test(`${action} ends the wait of a guest that reboots in a loop (7.2, 3.5)`, async (t) => {
    const daemon = await waitingDaemon(t);
    await created(daemon.api, 'web');
    await reboot(daemon);
    await reboot(daemon);
    assert.equal(daemon.waiting.length, 1);
    await done(daemon.api, daemon.api.beginVm('web', action));
    assert.deepEqual(daemon.waiting, []);
    if (action === 'delete') return assert.deepEqual(daemon.world.remains(), []);
    const { state, lastError } = await daemon.api.showVm('web');
    assert.deepEqual([state, lastError], [action === 'start' ? 'running' : 'stopped', null]);
  });
}

test('a reboot that still waits is forgotten when the daemon ends, and the VM says so (7.2)', async (t) => {
  const daemon = await waitingDaemon(t);
  await created(daemon.api, 'web');
  await reboot(daemon);
  await reboot(daemon);
  await daemon.stop();
  assert.deepEqual(daemon.waiting, []);
  const next = await startDaemon(daemon.world);
  t.after(() => next.stop());
  assert.match((await next.api.showVm('web')).lastError ?? '', /the daemon ended before the next boot: banger vm start web$/);
});

test('a guest that goes silent after it was ready is reported in time, is listed, and can be killed (7.2, 3.5)', async (t) => {
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

test('a VM that its VMM paused for a full disk says so in list and show until it continues (5.4)', async (t) => {
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

test('a VM has a limited number of sessions: more wait for their turn, too many are refused, and the VM can still be inspected and stopped (7.2)', async (t) => {
  const tunnels: Duplex[] = [];
  // Before the daemon ends, which waits for its clients.
  t.after(() => {
    for (const tunnel of tunnels) tunnel.destroy();
  });
  const { api, world, services } = await daemonFor(t);
  const { id } = await created(api, 'web');
  fakeOf(world, 'web').guest.services.set(7, (data) => data);
  const open = () => api.tunnel('web', '127.0.0.1:7');
  for (let count = 0; count < 12; count++) tunnels.push(await open());
  // A person is told what they wait for, as soon as they do.
  let told: number | undefined;
  const thirteenth = runInProcess(world.env, ['exec', 'web', 'true']);
  const early = api.tunnel('web', '127.0.0.1:7', (sessions) => (told = sessions));
  await until(() => told === 12 && services.vms.machines.find(id)?.waiting.length === 2);
  for (const tunnel of tunnels.splice(0, 2)) tunnel.destroy();
  tunnels.push(await early);
  const { exitCode, stderr } = await thirteenth;
  const sentence = 'banger: web has 12 open sessions, the most it can have: waiting for one to end\n';
  assert.deepEqual([exitCode, stderr], [0, sentence]);
  tunnels.push(await open());
  const waiting = Array.from({ length: 64 }, () => open());
  const outcomes = Promise.allSettled(waiting);
  const open77 = async (): Promise<void> => void tunnels.push(await open());
  // Requests come in any order: the one too many is refused whichever it is.
  await assert.rejects(
    Promise.race([open77(), ...waiting.map((one) => one.then(() => new Promise(() => undefined)))]),
    (error: BangerError) => {
      assert.deepEqual([error.code, error.message], ['BUSY', 'VM web has 12 open sessions, the most it can have']);
      return /a port of the guest, which needs no session/.test(error.remedy ?? '');
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
