// What happens can be followed: in the daemon's log by one id, and from an error to the file that tells more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended } from '../support/daemon/test-daemon.ts';

test("the log has every stage of an operation with its duration and the operation's id (9.1)", async (t) => {
  const daemon = await daemonFor(t);
  const vm = await created(daemon.api, 'web');
  const [operation] = await daemon.api.listOperations();
  const lines = daemon.log.filter((line) => line['operation'] === operation?.id);
  const stages = lines.filter(({ msg }) => msg === 'stage done');
  for (const stage of ['root-overlay', 'work-disk', 'network', 'boot', 'agent', 'ready']) {
    const line = stages.find((one) => one['stage'] === stage);
    assert.deepEqual([line?.['vm'], typeof line?.['durationMs']], ['web', 'number'], stage);
  }
  assert.equal(lines.at(-1)?.msg, 'operation ended');
  assert.match(vm.paths.eventLog, /events\.log$/);
});

test('a failed operation names the log with the details, whatever failed (1.6, 9.1)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web', { start: false });
  daemon.effects.hook = ({ name }) => {
    if (name === 'network.attach') throw new Error('made to fail');
  };
  const { error } = await ended(daemon.api, await daemon.api.beginVm('web', 'start'));
  const { paths } = await daemon.api.showVm('web');
  assert.deepEqual([error?.message, error?.logPath], ['made to fail', paths.eventLog]);
  const told = await runInProcess(daemon.world.env, ['vm', 'start', 'web']);
  assert.match(told.stderr, new RegExp(`log: ${paths.eventLog}`));
  assert.doesNotMatch(told.stderr, / at .*\.ts:\d+/);
  assert.ok(daemon.log.some((line) => line.msg === 'stage failed' && line.level === 'warn' && line['stage'] === 'network'));
});

test('two daemons with their own directories do not affect each other (2.1)', async (t) => {
  const [one, two] = [await daemonFor(t), await daemonFor(t)];
  await created(one.api, 'web', { start: false });
  await created(two.api, 'web', { start: false });
  await done(one.api, one.api.beginVm('web', 'delete'));
  assert.deepEqual([(await one.api.listVms()).length, (await two.api.listVms()).length], [0, 1]);
});

test('create --if-not-exists leaves a VM of that name unchanged, even one that is still being created (3.2)', async (t) => {
  const daemon = await daemonFor(t);
  const { env } = daemon.world;
  const create = (...flags: string[]) => runInProcess(env, ['vm', 'create', '--if-not-exists', ...flags]);
  const [first, second] = await Promise.all([create('--name', 'web'), daemon.api.createVm({ name: 'db' }, false)]);
  const meanwhile = await create('--name', 'db');
  assert.deepEqual([first.exitCode, first.stdout, meanwhile.exitCode, meanwhile.stdout], [0, 'web\n', 0, 'db\n']);
  assert.match(meanwhile.stderr, /db is there already, running; nothing was changed/);
  assert.equal((await ended(daemon.api, second)).state, 'done');
  const { pid } = await daemon.api.showVm('web');
  const again = await create('--name', 'web', '--vcpu', '4');
  assert.deepEqual([again.exitCode, again.stdout], [0, 'web\n']);
  assert.deepEqual([(await daemon.api.showVm('web')).pid, (await daemon.api.listVms()).length], [pid, 2]);
  assert.equal((await create()).exitCode, 2);
});

test('a request for what is already so succeeds and changes nothing (3.4)', async (t) => {
  const { api } = await daemonFor(t);
  const { pid } = await created(api, 'web');
  await done(api, api.beginVm('web', 'start'));
  assert.equal((await api.showVm('web')).pid, pid);
  const deletions = [await api.beginVm('web', 'delete'), await api.beginVm('web', 'delete')];
  for (const deletion of deletions) assert.equal((await ended(api, deletion)).state, 'done');
});
