// Machines that banger keeps for itself: no user sees them, and nothing that belongs to them is lost or left.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { hiddenName } from '../../src/model/hidden.ts';
import type { VmState } from '../../src/model/vm-state.ts';
import { forceState } from '../support/daemon/force-state.ts';
import { created, daemonFor, done, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';
import { runInProcess } from '../support/user/run-cli.ts';

/** Makes a VM one of banger's own: a template has no machine any more, a spare has one. @returns its id */
async function hide(daemon: TestDaemon, kind: 'template' | 'spare', state: VmState = kind): Promise<string> {
  const { id } = await created(daemon.api, 'own', { start: kind === 'spare' });
  forceState(daemon.services, id, state, { name: hiddenName(kind, { id }), startedAt: null });
  daemon.world.names.delete('own');
  return id;
}

function livesFor(t: TestContext) {
  const world = createTestWorld();
  const lives: TestDaemon[] = [];
  t.after(async () => {
    for (const life of lives) await life.stop();
    world.remove();
  });
  const start = async (): Promise<TestDaemon> => {
    const life = await startDaemon(world);
    lives.push(life);
    return life;
  };
  return { world, start };
}

test('no list, name, id or word of a command leads a user to them, and the host counts them (10.2)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world, services } = daemon;
  await created(api, 'web');
  const ids = [await hide(daemon, 'template'), await hide(daemon, 'spare')];
  assert.deepEqual(
    (await api.listVms()).map(({ name }) => name),
    ['web'],
  );
  for (const reference of ids.flatMap((id) => [id, id.slice(0, 8), `spare.${id.slice(0, 8)}`, `template.${id.slice(0, 8)}`])) {
    await assert.rejects(api.showVm(reference), { code: 'NOT_FOUND' }, reference);
    await assert.rejects(api.beginVm(reference, 'delete'), { code: 'NOT_FOUND' }, reference);
  }
  assert.deepEqual((await api.daemon()).vms, { total: 1, running: 1 });
  const stats = await api.stats();
  assert.deepEqual(
    [stats.vms.map(({ name }) => name), stats.ready.templates, stats.ready.spares, stats.reserved.vcpuCount],
    [['web'], 1, 1, 4],
  );
  assert.equal(stats.used.residentBytes, stats.ready.residentBytes + (stats.vms[0]?.residentBytes ?? 0));
  const { findings } = await api.doctor();
  assert.deepEqual(
    findings.filter(({ level, vm }) => level !== 'pass' && vm !== undefined),
    [],
  );
  const stopped = await runInProcess(world.env, ['vm', 'delete', '--all', '--force']);
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  assert.deepEqual(
    services.vms.records
      .listAll()
      .map(({ id }) => id)
      .toSorted(),
    ids.toSorted(),
  );
  for (const id of ids) services.vms.records.move(id, 'deleting');
});

test('the next daemon keeps templates, and removes spares, half-made ones and half-removed ones with all they have (10.1, 10.2)', async (t) => {
  const { world, start } = livesFor(t);
  const first = await start();
  const kept = await hide(first, 'template');
  const made: ['template' | 'spare', VmState][] = [
    ['spare', 'spare'],
    ['spare', 'creating'],
    ['template', 'creating'],
    ['template', 'deleting'],
  ];
  for (const [kind, state] of made) await hide(first, kind, state);
  await first.kill();
  const second = await start();
  assert.deepEqual(
    second.services.vms.records.listAll().map(({ id, state }) => [id, state]),
    [[kept, 'template']],
  );
  const whole = world.remains();
  assert.ok(whole.length > 0 && whole.every((line) => line.includes(kept)), whole.join('\n'));
  // Their records are worth as much as those of VMs.
  await second.stop();
  rmSync(join(world.directories.stateDirectory, 'banger.db'));
  const third = await start();
  assert.deepEqual(
    [third.services.vms.records.listAll().map(({ id, state }) => [id, state]), await third.api.listVms(), world.remains()],
    [[[kept, 'template']], [], whole],
  );
});

test('an image can be deleted although spares and templates were made from it, and they are removed with it (10.1)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world } = daemon;
  for (const kind of ['template', 'spare'] as const) await hide(daemon, kind);
  await done(api, api.deleteImage('default'));
  assert.deepEqual([daemon.services.vms.records.listAll(), world.remains()], [[], []]);
});

test('one that could not be removed is a finding, and the next daemon removes it (10.2)', async (t) => {
  const { world, start } = livesFor(t);
  const first = await start();
  const id = await hide(first, 'spare');
  forceState(first.services, id, 'deleting', { lastError: 'its deletion failed (busy)' });
  const finding = (await first.api.doctor()).findings.find(({ name }) => name === 'vm');
  assert.deepEqual([finding?.level, finding?.remedy], ['warn', 'banger daemon restart']);
  await first.stop();
  const second = await start();
  assert.deepEqual([second.services.vms.records.listAll(), world.remains()], [[], []]);
});
