// What the database does not take: named reproductions of what the fault suite (test/faults/) once found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EffectHook } from '../support/daemon/effects.ts';
import { assertSound } from '../support/daemon/soundness.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon } from '../support/daemon/test-daemon.ts';

/** @returns a hook that makes effects of this name fail */
const refuse =
  (effect: string): EffectHook =>
  ({ name }) => {
    if (name === effect) throw new Error('database or disk is full');
  };

test('steps are done even if they cannot be written to the operation log (3.5, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web');
  daemon.effects.hook = refuse('operations.appendEvent');
  await done(daemon.api, daemon.api.beginVm('web', 'stop'));
  assert.equal((await assertSound(daemon, 'stopped'))[0]?.state, 'stopped');
  await done(daemon.api, daemon.api.beginVm('web', 'delete'));
  assert.deepEqual(daemon.world.remains(), []);
  assert.ok(daemon.log.some(({ level, msg }) => level === 'error' && msg === 'an operation could not be recorded'));
});

test('an end that cannot be recorded is reported nevertheless, and is recorded with the next one (1.4, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  daemon.effects.hook = refuse('operations.end');
  const { id } = await daemon.api.createVm({ name: 'web', start: false }, false);
  assert.equal((await ended(daemon.api, { id })).state, 'done');
  assert.equal((await daemon.api.listOperations())[0]?.state, 'done');
  daemon.effects.hook = () => undefined;
  await done(daemon.api, daemon.api.beginVm('web', 'start'));
  const { world } = daemon;
  await daemon.kill();
  const next = await startDaemon(world);
  t.after(() => next.stop());
  assert.equal((await next.api.operation(id)).state, 'done');
});

test('a create whose operation cannot be recorded leaves no VM record (3.3, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  daemon.effects.hook = refuse('operations.insert');
  await assert.rejects(daemon.api.createVm({ name: 'web' }, false), { code: 'INTERNAL' });
  assert.deepEqual(await daemon.api.listVms(), []);
});

test('a delete that cannot be recorded touches nothing (3.5, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web');
  daemon.effects.hook = refuse('vms.move');
  assert.equal((await ended(daemon.api, await daemon.api.beginVm('web', 'delete'))).state, 'failed');
  assert.equal((await assertSound(daemon, 'still there'))[0]?.state, 'running');
});

test('a start is recorded before it makes its directory (3.8, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { world } = daemon;
  const vm = await created(daemon.api, 'web', { start: false });
  daemon.effects.hook = ({ name, args }, phase) =>
    name === 'host.makePrivateDirectory' && phase === 'after' && String(args[0]).endsWith(vm.id.slice(0, 8)) ? 'die' : undefined;
  await daemon.api.beginVm('web', 'start').catch(() => undefined);
  await daemon.effects.died;
  await daemon.kill();
  const next = await startDaemon(world);
  t.after(() => next.stop());
  await assertSound(next, 'recovered');
});

test('a daemon that cannot write anything starts nevertheless, and later records what it could not (3.8, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { world } = daemon;
  for (const name of ['kept', 'died', 'half']) await created(daemon.api, name);
  daemon.effects.hook = ({ name }, phase) => (name === 'network.detach' && phase === 'before' ? 'die' : undefined);
  await daemon.api.beginVm('half', 'delete').catch(() => undefined);
  await daemon.effects.died;
  await daemon.kill();
  fakeOf(world, 'died').end({ cause: 'crash', detail: 'killed' });
  const full = await startDaemon(world, {
    hook: ({ name }) => {
      if (/^(vms|operations)\.(update|remove|end)$/.test(name)) throw new Error('database or disk is full');
    },
  });
  assert.equal((await full.api.listVms()).length, 3);
  assert.equal((await full.api.showVm('kept')).pid, fakeOf(world, 'kept').process.pid);
  await full.kill();
  const next = await startDaemon(world);
  t.after(() => next.stop());
  const vms = await assertSound(next, 'with room again');
  assert.deepEqual(
    vms.map(({ name, state }) => [name, state]),
    [
      ['kept', 'running'],
      ['died', 'stopped'],
    ],
  );
});
