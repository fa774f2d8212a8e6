// Every single thing that a creation does is made to fail, and is cancelled at, before and after.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { Operation, OperationEvent } from '../../src/api/schemas.ts';
import { createSteps } from '../../src/lifecycle/vm/create.ts';
import { BangerError } from '../../src/model/errors.ts';
import type { Effect } from '../support/effects.ts';
import { daemonFor, ended, type TestDaemon } from '../support/test-daemon.ts';

/** Effects of the creation proper: what comes before is a refusal, what comes after is the tale of its end. */
const isOfCreation = ({ name }: Effect): boolean => !/^operations\.(insert|end|find|list|running|events)$/.test(name);

/** Creates one VM undisturbed. @returns the numbers of its effects, from the record on, with their names */
async function effectsOfCreate(daemon: TestDaemon): Promise<Effect[]> {
  const before = daemon.effects.seen.length;
  const operation = await ended(daemon.api, await daemon.api.createVm({ name: 'probe' }, false));
  const all = daemon.effects.seen.slice(before);
  const from = all.findIndex(({ name }) => name === 'operations.insert');
  const to = all.findIndex(({ name }) => name === 'operations.end');
  await ended(daemon.api, await daemon.api.beginVm('probe', 'delete'));
  assert.equal(operation.state, 'done');
  return all.slice(from + 1, to).filter(isOfCreation);
}

/** Calls `act` at the n-th effect of the next creation, counted as effectsOfCreate does. */
function atEffect(daemon: TestDaemon, n: number, phase: 'before' | 'after', act: () => void): { name: string } {
  const hit = { name: '' };
  let isBegun = false;
  let count = 0;
  let target = 0;
  daemon.effects.hook = (effect, now) => {
    if (effect.name === 'operations.insert') isBegun = true;
    if (!isBegun || !isOfCreation(effect)) return;
    // What runs beside the creation may begin between the two sides of an effect.
    if (now === 'before' && ++count === n) target = effect.number;
    if (effect.number !== target || now !== phase) return;
    hit.name = effect.name;
    act();
  };
  return hit;
}

async function createOnce(daemon: TestDaemon): Promise<Awaited<ReturnType<typeof ended>>> {
  const operation = await daemon.api.createVm({ name: 'web' }, false);
  const end = await ended(daemon.api, operation);
  daemon.effects.hook = () => undefined;
  return end;
}

const logsOf = (daemon: TestDaemon, { vmId }: Operation): string => `${daemon.world.directories.stateDirectory}/logs/${vmId}`;

/** Runs `check` once for every effect of a creation and each side of it, with what `act` does there. */
async function atEveryEffect(
  daemon: TestDaemon,
  act: () => void,
  check: (operation: Awaited<ReturnType<typeof ended>>, what: string, effect: string) => void,
): Promise<void> {
  const names = (await effectsOfCreate(daemon)).map(({ name }) => name);
  assert.ok(names.length > 30, `only ${names.length} effects`);
  for (const phase of ['before', 'after'] as const) {
    for (let n = 1; n <= names.length; n++) {
      const hit = atEffect(daemon, n, phase, act);
      const operation = await createOnce(daemon);
      const what = `${phase} effect ${n}, ${hit.name}: ${JSON.stringify(operation.error)}`;
      if (operation.state === 'done') await ended(daemon.api, await daemon.api.beginVm('web', 'delete'));
      check(operation, what, hit.name);
      assert.deepEqual(await daemon.api.listVms(), [], what);
      assert.deepEqual(daemon.world.remains(), [], what);
    }
  }
}

const stagesOf = (events: readonly OperationEvent[], status: string): string[] =>
  events.flatMap((event) => (event.type === 'stage' && event.status === status ? event.stage : []));

test('whatever fails in a creation, it is rolled back to nothing in reverse and tells the failure (1.4, 3.3, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  const fail = (): never => {
    throw new BangerError('STORAGE_FAILED', 'made to fail');
  };
  const undoable = createSteps({ start: true, waitForServices: true }).flatMap((step) => (step.undo === undefined ? [] : step.name));
  let survived = 0;
  await atEveryEffect(daemon, fail, (operation, what, effect) => {
    // The watch of ports runs beside the creation and tries again.
    if (operation.state === 'done' && effect === 'machine.openAgentChannel') return void survived++;
    assert.equal(operation.state, 'failed', what);
    assert.match(operation.error?.message ?? '', /made to fail/, what);
    const begun = stagesOf(operation.events, 'started');
    const undone = stagesOf(operation.events, 'undone');
    const inReverse = undoable.toReversed();
    assert.deepEqual(
      undone,
      inReverse.filter((stage) => undone.includes(stage)),
      what,
    );
    for (const stage of begun) assert.equal(undone.includes(stage), undoable.includes(stage), `${stage} ${what}`);
    if (begun.includes('boot')) assert.ok(existsSync(`${logsOf(daemon, operation)}/serial.log`) || !begun.includes('agent'), what);
  });
  assert.ok(survived <= 2, `${survived} failures went unnoticed`);
});

test('a creation cancelled at any moment is rolled back to nothing, its logs included (1.4, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  const cancel = (): void => {
    const running = daemon.services.operations.list().find(({ state }) => state === 'running');
    daemon.services.operations.cancel(running?.id ?? '');
  };
  await atEveryEffect(daemon, cancel, (operation, what) => {
    assert.deepEqual([operation.state, operation.error?.code], ['cancelled', 'CANCELLED'], what);
    assert.ok(!existsSync(logsOf(daemon, operation)), what);
  });
});

test('a failing rollback is told with the first error, goes on, and leaves a VM that can be deleted (3.3, 3.5)', async (t) => {
  const daemon = await daemonFor(t);
  // Each is what one undo needs; the rest of the rollback must not depend on it.
  const undoing = ['network.detach', 'storage.detach', 'storage.remove', 'host.removeTree', 'machine.terminate', 'hypervisor.cleanUp'];
  for (const broken of undoing) {
    let isFailing = false;
    daemon.effects.hook = ({ name }, phase) => {
      if (phase !== 'before') return;
      if (name === 'machine.openAgentChannel') isFailing = true;
      if (name === 'machine.openAgentChannel') throw new BangerError('AGENT_PROTOCOL', 'the first failure');
      if (isFailing && name === broken) throw new BangerError('INTERNAL', `${name} is broken`);
    };
    const { state, error, vmId } = await createOnce(daemon);
    assert.equal(state, 'failed');
    assert.match(error?.message ?? '', /the first failure/);
    assert.match((error?.undo ?? []).join('; '), new RegExp(`undoing ".+" failed: ${broken} is broken`));
    const vm = await daemon.api.showVm('web');
    assert.deepEqual([vm.id, vm.state], [vmId, 'error']);
    assert.match(vm.lastError ?? '', /could not be undone/);
    assert.equal((await ended(daemon.api, await daemon.api.beginVm('web', 'delete'))).state, 'done');
    assert.deepEqual(daemon.world.remains(), [], broken);
  }
});

test('the rollback is not cancelled by what caused it (1.4)', async (t) => {
  const daemon = await daemonFor(t);
  daemon.effects.hook = ({ name }) => {
    if (!/^(machine|network|storage)\./.test(name)) return;
    const running = daemon.services.operations.list().find(({ state }) => state === 'running');
    // Once to cause it, then again and again while it goes on.
    daemon.services.operations.cancel(running?.id ?? '');
  };
  const operation = await createOnce(daemon);
  assert.equal(operation.state, 'cancelled');
  assert.equal(operation.error?.undo, undefined);
  assert.deepEqual(daemon.world.remains(), []);
});
