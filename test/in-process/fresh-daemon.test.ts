// The first thing that a fresh daemon is asked, before it has looked what works on this host: nobody is asked about a VM but the
// drivers that are recorded for it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { vmPaths } from '../../src/model/paths.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { assertMarked, assertSound, mark } from '../support/daemon/soundness.ts';
import { created, done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

/** How the last daemon ended. */
const ENDS: Record<string, (daemon: TestDaemon) => Promise<void>> = {
  'daemon stop': (daemon) => daemon.stop(),
  'kill -9': (daemon) => daemon.kill(),
  'a reboot': async (daemon) => {
    await daemon.kill();
    daemon.world.host = { ...daemon.world.host, bootId: () => 'the next boot' };
  },
};

/** Words of the first command, and how the VM is after it. */
const FIRST: readonly { words: readonly string[]; status?: number; state: string }[] = [
  { words: ['delete', '--yes', 'web'], state: 'gone' },
  { words: ['start', 'web'], state: 'running' },
  { words: ['stop', 'web'], state: 'stopped' },
  { words: ['kill', 'web'], state: 'stopped' },
  { words: ['set', 'web', '--disk-size', '9G'], state: 'stopped' },
  { words: ['set', 'web', '--system-overlay-size', '9G'], state: 'stopped' },
  { words: ['set', 'web', '--no-nat'], state: 'stopped' },
  { words: ['show', 'web'], state: 'stopped' },
  { words: ['list'], state: 'stopped' },
  { words: ['logs', 'web'], state: 'stopped' },
  { words: ['stats', 'web'], state: 'stopped' },
  { words: ['health', 'web'], status: 1, state: 'stopped' },
  { words: ['exec', 'web', '--', 'true'], status: 3, state: 'stopped' },
  { words: ['cp', 'web:/etc/hostname', '/tmp/never'], status: 1, state: 'stopped' },
  { words: ['forward', 'web', '8080:80'], state: 'stopped' },
];

function livesOf(t: TestContext, isPlain: boolean): { world: TestWorld; start(): Promise<TestDaemon> } {
  const world = createTestWorld({ isPlain });
  let last: TestDaemon | undefined;
  t.after(async () => {
    await last?.stop();
    world.remove();
  });
  return { world, start: async () => (last = await startDaemon(world)) };
}

for (const isPlain of [true, false]) {
  for (const [how, end] of Object.entries(ENDS)) {
    test(`after ${how} the first command to a ${isPlain ? 'plain ' : ''}daemon does to a stopped VM what it should (3.5, 9.5)`, async (t) => {
      const { world, start } = livesOf(t, isPlain);
      for (const { words, status, state } of FIRST) {
        const what = words.join(' ');
        const first = await start();
        const vm = await created(first.api, 'web', { start: false });
        mark(world, vm);
        await end(first);
        const second = await start();
        const outcome = await runInProcess(world.env, ['vm', ...words]);
        if (status === undefined) assert.equal(outcome.exitCode, 0, `${what}: ${outcome.stderr}`);
        else assert.notEqual(outcome.exitCode, 0, what);
        assert.doesNotMatch(outcome.stderr, /root helper/, what);
        const [found] = await assertSound(second, what);
        assert.equal(found?.state ?? 'gone', state, what);
        if (found !== undefined) {
          assertMarked(world, vm, what);
          await done(second.api, second.api.beginVm('web', 'delete'));
        }
        assert.deepEqual(world.remains(), [], what);
        await second.stop();
      }
    });
  }
}

test('a VM is not started with another storage driver if its own is missing, and stays intact (3.3, 5.1)', async (t) => {
  const { world, start } = livesOf(t, true);
  const { api, services } = await start();
  const vm = await created(api, 'web', { start: false });
  mark(world, vm);
  const { runtime } = services.vms.records.find(vm.id) ?? assert.fail();
  for (const storageDriver of ['dm-snapshot', 'of another banger']) {
    services.vms.records.update(vm.id, { runtime: { bootId: '', ...runtime, storageDriver } });
    const outcome = await runInProcess(world.env, ['vm', 'start', 'web']);
    assert.notEqual(outcome.exitCode, 0, storageDriver);
    assertMarked(world, vm, storageDriver);
  }
  services.vms.records.update(vm.id, { runtime });
  await done(api, api.beginVm('web', 'start'));
});

test('a VM whose delete failed halfway says what is left, is not offered for a start, and is removed by the next delete or daemon (3.5, 9.5)', async (t) => {
  for (const finish of ['try', 'daemon'] as const) {
    const { world, start } = livesOf(t, true);
    const first = await start();
    const vm = await created(first.api, 'web', { start: false });
    first.effects.hook = ({ name }, phase) => {
      if (name === 'root.remove' && phase === 'before') throw new Error('the disk is busy');
    };
    const broken = await runInProcess(world.env, ['vm', 'delete', '--yes', 'web']);
    assert.notEqual(broken.exitCode, 0);
    const { state, lastError } = await first.api.showVm('web');
    assert.equal(state, 'deleting');
    assert.match(lastError ?? '', /its deletion failed \(the disk is busy\); left: its record, root disk$/);
    const refused = await runInProcess(world.env, ['vm', 'start', 'web']);
    assert.match(refused.stderr, /is being deleted[^]*banger vm delete web/);
    const { findings } = await first.api.doctor();
    assert.ok(findings.some(({ reason, remedy }) => /its deletion failed/.test(reason) && remedy === 'banger vm delete web'));
    if (finish === 'try') {
      first.effects.hook = () => undefined;
      await done(first.api, first.api.beginVm('web', 'delete'));
    } else {
      await first.stop();
      await start();
    }
    assert.deepEqual([world.remains(), existsSync(vmPaths(world.directories, vm).directory)], [[], false]);
    await first.stop();
  }
});

test('no disk of a VMM that cannot be ended is removed, and the next delete removes everything (3.5, 10.7)', async (t) => {
  const { world, start } = livesOf(t, false);
  const first = await start();
  const vm = await created(first.api, 'web');
  mark(world, vm);
  first.effects.hook = ({ name }, phase) => {
    if (name === 'machine.terminate' && phase === 'before') throw new Error('it is stuck in the kernel');
  };
  const { state, error } = await ended(first.api, await first.api.beginVm('web', 'delete'));
  assert.deepEqual([state, /stuck/.test(error?.message ?? '')], ['failed', true]);
  assertMarked(world, vm, 'kept');
  assert.match((await first.api.showVm('web')).lastError ?? '', /left: its record, root disk, work disk/);
  first.effects.hook = () => undefined;
  await done(first.api, first.api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});
