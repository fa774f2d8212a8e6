// Many commands at once: each tells the truth, and what comes of them is whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BangerError } from '../../src/model/errors.ts';
import { openStore } from '../../src/store/store.ts';
import { assertMarked, assertSound, mark } from '../support/daemon/soundness.ts';
import { created, daemonFor, done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';

type Verb = 'start' | 'stop' | 'restart' | 'kill' | 'delete';

/** Begins all at once. @returns how each ended: its state, or the code with which it was refused */
async function race(api: TestDaemon['api'], begin: readonly (() => ReturnType<TestDaemon['api']['beginVm']>)[]): Promise<string[]> {
  const outcome = async (verb: (typeof begin)[number]): Promise<string> => (await ended(api, await verb())).state;
  return Promise.all(begin.map((verb) => outcome(verb).catch((error: unknown) => (error as BangerError).code)));
}

const verbs = (api: TestDaemon['api'], ...names: Verb[]) => names.map((verb) => () => api.beginVm('web', verb));

test('of 50 simultaneous creates of one name, one makes the VM and 49 are refused before they make anything (3.2)', async (t) => {
  const daemon = await daemonFor(t);
  const creations = Array.from({ length: 50 }, () => () => daemon.api.createVm({ name: 'web' }, false));
  const outcomes = await race(daemon.api, creations);
  assert.deepEqual(outcomes.toSorted(), [...Array.from({ length: 49 }, () => 'NAME_TAKEN'), 'done']);
  assert.deepEqual(
    (await assertSound(daemon, 'created')).map(({ name, state }) => [name, state]),
    [['web', 'running']],
  );
  assert.equal((await daemon.api.listOperations()).length, 1);
});

test('simultaneous create and delete leave a whole VM or none, and the delete wins over what it saw (3.4, 3.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  for (let round = 0; round < 10; round++) {
    const [creation, deletion] = await race(api, [() => api.createVm({ name: 'web' }, false), () => api.beginVm('web', 'delete')]);
    const vms = await assertSound(daemon, `round ${round}: ${creation}, ${deletion}`);
    assert.equal(vms.length, deletion === 'NOT_FOUND' ? 1 : 0);
    // It may have been faster than the deletion.
    assert.match(creation ?? '', deletion === 'NOT_FOUND' ? /^done$/ : /^(done|cancelled)$/);
    if (vms.length > 0) await done(api, api.beginVm('web', 'delete'));
  }
  assert.deepEqual(daemon.world.remains(), []);
});

test('two simultaneous starts make one VMM (3.4)', async (t) => {
  const daemon = await daemonFor(t);
  const vm = await created(daemon.api, 'web', { start: false });
  mark(daemon.world, vm);
  assert.deepEqual(await race(daemon.api, verbs(daemon.api, 'start', 'start')), ['done', 'done']);
  await assertSound(daemon, 'started');
  assert.equal(daemon.effects.seen.filter(({ name }) => name === 'hypervisor.start').length, 1);
  assertMarked(daemon.world, vm, 'started');
});

test('after simultaneous stop and start, the VM is in the state of the last one (3.4)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  const vm = await created(api, 'web');
  mark(daemon.world, vm);
  for (let round = 0; round < 10; round++) {
    const [stop, start] = await race(api, verbs(api, 'stop', 'start'));
    const [web] = await assertSound(daemon, `round ${round}`);
    const [last] = await api.listOperations();
    assert.deepEqual([stop, start, web?.state], ['done', 'done', last?.verb === 'vm.start' ? 'running' : 'stopped']);
    assertMarked(daemon.world, vm, `round ${round}`);
  }
});

test('many simultaneous deletes remove the VM once, and none fails (3.4, 3.5)', async (t) => {
  const daemon = await daemonFor(t);
  for (let round = 0; round < 5; round++) {
    await created(daemon.api, 'web');
    const outcomes = await race(daemon.api, verbs(daemon.api, 'delete', 'delete', 'delete', 'delete'));
    assert.equal(outcomes[0], 'done');
    for (const outcome of outcomes) assert.match(outcome, /^(done|NOT_FOUND)$/);
    assert.deepEqual([await daemon.api.listVms(), daemon.world.remains()], [[], []]);
  }
});

test('a list during many changes shows each VM whole and once (3.4)', async (t) => {
  const { api } = await daemonFor(t);
  let isOver = false;
  const churn = Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      for (let round = 0; round < 5; round++) {
        await created(api, name, { start: round % 2 === 0 });
        await done(api, api.beginVm(name, 'delete'));
      }
    }),
  ).finally(() => (isOver = true));
  while (!isOver) {
    const names = (await api.listVms()).map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  }
  await churn;
});

test('a second daemon for the same state directory is refused before it touches anything (1.2, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web');
  await assert.rejects(startDaemon(daemon.world), { code: 'DAEMON_RUNNING', message: /another bangerd holds .*banger\.db/ });
  await assertSound(daemon, 'the first goes on');
  await daemon.stop();
  openStore(`${daemon.world.directories.stateDirectory}/banger.db`).close();
});
