// The daemon dies as by kill -9 before every single thing that a verb does; the next one puts the world in order.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { VmView } from '../../src/api/schemas.ts';
import { created, ended, startDaemon, type TestDaemon } from '../support/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/test-world.ts';

type Verb = 'create' | 'start' | 'stop' | 'restart' | 'kill' | 'delete';

const begin = ({ api }: TestDaemon, verb: Verb) => (verb === 'create' ? api.createVm({ name: 'web' }, false) : api.beginVm('web', verb));

/** Runs the verb undisturbed. @returns how many effects it has up to its end */
async function countEffects(daemon: TestDaemon, verb: Verb): Promise<number> {
  const before = daemon.effects.seen.length;
  const { state } = await ended(daemon.api, await begin(daemon, verb));
  assert.equal(state, 'done');
  return daemon.effects.seen.slice(before).findIndex(({ name }) => name === 'operations.end') + 1;
}

/** @returns the name of the effect before which the daemon died */
async function dieBefore(daemon: TestDaemon, verb: Verb, n: number): Promise<string> {
  const died = Promise.withResolvers<string>();
  let count = 0;
  daemon.effects.hook = ({ name }, phase) => {
    // What runs beside a verb may make one effect more or less; the last chance is its end.
    const isLast = name === 'operations.end' && phase === 'after';
    if (daemon.effects.dead || !(isLast || (phase === 'before' && ++count === n))) return;
    daemon.effects.die();
    died.resolve(name);
  };
  begin(daemon, verb)
    .then((operation) => ended(daemon.api, operation))
    .catch(() => undefined); // Nobody answers any more.
  const name = await died.promise;
  await daemon.kill();
  return name;
}

/** Brings the VM to where the verb begins. */
async function prepare({ api }: TestDaemon, verb: Verb): Promise<void> {
  if (verb === 'create') {
    for (const vm of await api.listVms()) await ended(api, await api.beginVm(vm.id, 'delete'));
    return;
  }
  if ((await api.listVms()).length === 0) await created(api, 'web');
  await ended(api, await api.beginVm('web', verb === 'start' ? 'stop' : 'start'));
}

/** What must be so after any recovery: every VM is whole, running or stopped, and nothing belongs to none. */
async function assertInOrder({ api, world, services }: TestDaemon, what: string): Promise<VmView | undefined> {
  const [vm] = await api.listVms();
  const operations = await api.listOperations();
  assert.deepEqual(
    operations.filter(({ state }) => state === 'running'),
    [],
    what,
  );
  const isRunning = vm?.state === 'running';
  const remains = world.remains();
  const kinds = remains.map((line) => line.split(' ')[0]).filter((kind) => kind !== 'file' && kind !== 'forwards');
  if (vm === undefined) assert.deepEqual(remains, [], what);
  else {
    assert.match(vm.state, /^(running|stopped)$/, `${what}: ${JSON.stringify(vm)}`);
    assert.deepEqual(kinds, isRunning ? ['disk', 'machine', 'name', 'tap'] : [], what);
    assert.equal(vm.pid !== null, isRunning, what);
    assert.equal(services.machines.find(vm.id) !== undefined, isRunning, what);
  }
  if (isRunning) assert.equal((await api.health('web')).agent, 'ok', what);
  return vm;
}

function worldFor(t: TestContext): TestWorld {
  const world = createTestWorld();
  t.after(() => world.remove());
  return world;
}

/** Which ends each verb may have when the daemon died in it. */
const ENDS: Record<Verb, readonly string[]> = {
  create: ['gone', 'running'],
  start: ['stopped', 'running'],
  stop: ['running', 'stopped'],
  restart: ['running', 'stopped'],
  kill: ['running', 'stopped'],
  delete: ['running', 'gone'],
};

async function dieEverywhere(t: TestContext, verb: Verb): Promise<void> {
  const world = worldFor(t);
  let daemon = await startDaemon(world);
  t.after(() => daemon.stop());
  await prepare(daemon, verb);
  const count = await countEffects(daemon, verb);
  assert.ok(count > 10, `${verb} has only ${count} effects`);
  const seen = new Set<string>();
  for (let n = 1; n <= count; n++) {
    await prepare(daemon, verb);
    const what = `died in ${verb} before effect ${n}, ${await dieBefore(daemon, verb, n)}`;
    daemon = await startDaemon(world);
    const end = (await assertInOrder(daemon, what))?.state ?? 'gone';
    assert.ok(ENDS[verb].includes(end), `${what}: ${end}`);
    seen.add(end);
    const [last] = await daemon.api.listOperations();
    if (last?.verb === `vm.${verb}` && last.error !== null) assert.equal(last.error.code, 'INTERRUPTED', what);
  }
  assert.deepEqual([...seen].toSorted(), ENDS[verb].toSorted(), 'the deaths were spread over the whole verb');
  await prepare(daemon, 'create');
  assert.deepEqual(world.remains(), []);
}

test('a daemon killed anywhere in a create leaves the VM whole or gone (1.2, 3.8, 9.5)', (t) => dieEverywhere(t, 'create'));
test('a daemon killed anywhere in a start leaves the VM running or stopped (1.2, 3.8, 9.5)', (t) => dieEverywhere(t, 'start'));
test('a daemon killed anywhere in a stop leaves the VM running or stopped (1.2, 3.8, 9.5)', (t) => dieEverywhere(t, 'stop'));
test('a daemon killed anywhere in a restart leaves the VM running or stopped (1.2, 3.8, 9.5)', (t) => dieEverywhere(t, 'restart'));
test('a daemon killed anywhere in a kill leaves the VM running or stopped (1.2, 3.8, 9.5)', (t) => dieEverywhere(t, 'kill'));
test('a daemon killed anywhere in a delete leaves the VM running or gone (3.5, 3.8, 9.5)', (t) => dieEverywhere(t, 'delete'));
