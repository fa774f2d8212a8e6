// What the database does not take: named reproductions of what the fault suite (test/faults/) once found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EffectHook } from '../support/effects.ts';
import { assertSound } from '../support/soundness.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon } from '../support/test-daemon.ts';

/** @returns a hook that makes effects of this name fail */
const refuse =
  (effect: string): EffectHook =>
  ({ name }) => {
    if (name === effect) throw new Error('database or disk is full');
  };

test('a start is written down before it makes its directory (3.8, 9.5)', async (t) => {
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
