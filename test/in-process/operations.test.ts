import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationEvent } from '../../src/api/schemas.ts';
import { createFollowers, MOST_LOG_FOLLOWERS } from '../../src/daemon/followers.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { startStubDaemon } from '../support/daemon/stub-daemon.ts';
import { created, daemonFor, done, ended, type TestDaemon, until } from '../support/daemon/test-daemon.ts';

/** Begins a creation that hangs until it is cancelled. */
async function hang({ api, world }: TestDaemon, attach: boolean) {
  world.machines.inject('web', 'hang-at-start');
  return api.createVm({ name: 'web' }, attach);
}

/** Follows an operation until its machine hangs, then goes on in the background. */
async function watch({ api }: TestDaemon, id: string) {
  const connection = new AbortController();
  const events: OperationEvent[] = [];
  const atBoot = Promise.withResolvers<void>();
  const stream = await api.operationEvents(id, connection.signal);
  const over = (async () => {
    for await (const event of stream) {
      events.push(event);
      if (event.type === 'stage' && event.stage === 'boot') atBoot.resolve();
    }
  })().catch(() => undefined);
  await atBoot.promise;
  return { events, leave: () => connection.abort(), over };
}

test('an operation is recorded before and after each step, and early and late watchers see the same (1.4)', async (t) => {
  const { api } = await daemonFor(t);
  const operation = await api.createVm({ name: 'web' }, false);
  const early = await ended(api, operation);
  const late = await ended(api, operation);
  assert.deepEqual(late.events, early.events);
  assert.deepEqual(
    early.events.map(({ seq }) => seq),
    early.events.map((_event, at) => at),
  );
  const last = early.events.at(-1);
  assert.ok(last?.type === 'end' && last.state === 'done' && last.vm?.name === 'web');
  const stages = early.events.flatMap((event) =>
    event.type === 'stage' && event.status !== 'skipped' ? [`${event.stage} ${event.status}`] : [],
  );
  for (let at = 0; at < stages.length; at += 2) assert.equal(stages[at]?.replace('started', 'done'), stages[at + 1]);
  assert.deepEqual([stages[0], stages.at(-1)], ['record started', 'ready done']);
});

test('an operation can be shown, followed and cancelled by a prefix of its id, like a VM (1.4, 3.1)', async (t) => {
  const daemon = await daemonFor(t);
  const { id } = await hang(daemon, false);
  const short = id.slice(0, 6);
  assert.equal((await daemon.api.operation(short)).id, id);
  await daemon.api.cancelOperation(short);
  const [last] = (await Array.fromAsync(await daemon.api.operationEvents(short))).slice(-1);
  assert.ok(last?.type === 'end' && last.state === 'cancelled');
  await assert.rejects(daemon.api.operation(id.slice(0, 3)), { code: 'NOT_FOUND' });
});

test('an attached operation is cancelled when its client disconnects (1.4)', async (t) => {
  const daemon = await daemonFor(t);
  const operation = await hang(daemon, true);
  const watcher = await watch(daemon, operation.id);
  watcher.leave();
  const end = await ended(daemon.api, operation);
  assert.deepEqual([end.state, end.error?.code], ['cancelled', 'CANCELLED']);
  assert.deepEqual([await daemon.api.listVms(), daemon.world.remains()], [[], []]);
});

test('an attached operation continues while any client watches it (1.4)', async (t) => {
  const daemon = await daemonFor(t);
  const operation = await hang(daemon, true);
  const [first, second] = [await watch(daemon, operation.id), await watch(daemon, operation.id)];
  first.leave();
  await first.over;
  await daemon.api.daemon();
  assert.equal((await daemon.api.operation(operation.id)).state, 'running');
  second.leave();
  assert.equal((await ended(daemon.api, operation)).state, 'cancelled');
});

test('a detached operation continues without watchers, and only an explicit cancel ends it (1.4)', async (t) => {
  const daemon = await daemonFor(t);
  const operation = await hang(daemon, false);
  const watcher = await watch(daemon, operation.id);
  watcher.leave();
  await watcher.over;
  await daemon.api.daemon();
  assert.equal((await daemon.api.operation(operation.id)).state, 'running');
  await daemon.api.cancelOperation(operation.id);
  assert.equal((await ended(daemon.api, operation)).state, 'cancelled');
  // Too late is no error.
  await daemon.api.cancelOperation(operation.id);
});

test('an operation waits for its turn, and can be cancelled while it waits (1.4, 3.4)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world } = daemon;
  await created(api, 'web');
  world.machines.inject('web', 'ignore-shutdown');
  world.machines.machines.forEach((machine) => (machine.guest.onPoweroff = () => undefined));
  const stop = await api.beginVm('web', 'stop', { graceMs: 60_000 });
  const restart = await api.beginVm('web', 'restart');
  await api.cancelOperation(restart.id);
  assert.equal((await ended(api, restart)).state, 'cancelled');
  assert.equal((await api.operation(stop.id)).state, 'running');
  // Cancelling a stop ends its patience, not the stop.
  await api.cancelOperation(stop.id);
  assert.equal((await ended(api, stop)).state, 'done');
  assert.equal((await api.showVm('web')).state, 'stopped');
});

test('ended operations are kept over a restart of the daemon, and unknown ones are not found (1.4)', async (t) => {
  const { api, log } = await daemonFor(t);
  await created(api, 'web', { start: false });
  const [operation] = await api.listOperations();
  assert.deepEqual([operation?.verb, operation?.vmName, operation?.state], ['vm.create', 'web', 'done']);
  assert.ok(
    log.some((line) => line['operation'] === operation?.id && line['verb'] === 'vm.create' && typeof line['durationMs'] === 'number'),
  );
  await assert.rejects(api.operation('nosuch'), { code: 'NOT_FOUND' });
  await assert.rejects(api.cancelOperation('nosuch'), { code: 'NOT_FOUND' });
  await assert.rejects(api.operationEvents('nosuch'), { code: 'NOT_FOUND' });
});

test('a VM may be deleted while an operation waits for it (3.4)', async (t) => {
  const daemon = await daemonFor(t);
  const { api } = daemon;
  await created(api, 'web');
  const operations = await Promise.all(
    (['delete', 'stop', 'start', 'kill', 'restart', 'delete'] as const).map((verb) => api.beginVm('web', verb)),
  );
  for (const operation of operations) assert.match((await ended(api, operation)).state, /^(done|failed)$/);
  assert.deepEqual([await api.listVms(), daemon.world.remains()], [[], []]);
  await until(() => daemon.services.operations.list().every(({ state }) => state !== 'running'));
});

test('the last lines of a log can be read, and events by their time; other logs have no times (3.13)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web', { start: false });
  const logs = async (...argv: string[]) => runInProcess(world.env, ['logs', 'web', ...argv]);
  const all = (await logs('--events')).stdout.split(/(?<=\n)/);
  assert.ok(all.length > 3);
  assert.equal((await logs('--events', '--tail', '2')).stdout, all.slice(-2).join(''));
  assert.equal((await logs('--events', '-n', 'all')).stdout, all.join(''));
  assert.equal((await logs('--events', '-n0')).stdout, '');
  assert.equal((await logs('--events', '--since', '1h')).stdout, all.join(''));
  assert.equal((await logs('--events', '--since', '2999-01-01T00:00:00Z')).stdout, '');
  const { exitCode, stderr } = await logs('--since', '1h');
  assert.deepEqual([exitCode, stderr], [2, 'banger: --since works with --events: the other logs have no times\n  try: use --tail\n']);
  for (const bad of ['-1', 'x', '1.5', '']) assert.equal((await logs(`--tail=${bad}`)).exitCode, 2, bad);
});

test('a daemon limits how many logs are followed, at most half of them of one VM; a client that leaves makes room, and a log that is not followed can always be read (7.2, 9.5)', async (t) => {
  const followed: AsyncGenerator<Buffer>[] = [];
  // Before the daemon ends, which waits for its clients.
  t.after(() => Promise.all(followed.map((log) => log.return(undefined))));
  const { api } = await daemonFor(t);
  await Promise.all([created(api, 'web'), created(api, 'db')]);
  const follow = async (name = 'web') => {
    const log = await api.logs(name, 'events', true);
    // One that nobody has read from cannot be left.
    await log.next();
    return log;
  };
  followed.push(...(await Promise.all(Array.from({ length: MOST_LOG_FOLLOWERS / 2 }, () => follow()))));
  await assert.rejects(follow(), { code: 'BUSY', message: /^32 logs of web are being followed, 32 in all/ });
  followed.push(await follow('db'));
  for await (const chunk of await api.logs('web', 'events', false)) assert.ok(chunk.length > 0);
  await done(api, api.beginVm('web', 'stop'));
  await followed.shift()?.return(undefined);
  await until(async () => {
    const log = await follow().catch(() => undefined);
    if (log !== undefined) followed.push(log);
    return log !== undefined;
  });
});

test('a client that follows a log is told that the daemon ends, and does not take this for the end of the log (1.6)', async (t) => {
  const stub = await startStubDaemon({ routes: { 'GET /v1/vms/web/logs': (response) => void response.end('the last line\n') } });
  t.after(() => stub.close());
  assert.equal((await runInProcess(stub.env, ['vm', 'logs', 'web'])).exitCode, 0);
  const { exitCode, stdout, stderr } = await runInProcess(stub.env, ['vm', 'logs', '-f', 'web']);
  assert.deepEqual([exitCode, stdout], [1, 'the last line\n']);
  assert.match(stderr, /the connection to the daemon ended while following the log\n {2}try: banger vm logs -f --tail 20 web/);
});

test('event streams are limited in the same way (7.2)', () => {
  const follows = createFollowers(4, 'operations');
  const begin = (vm: string | null): (() => void) => {
    let close = (): void => assert.fail('its end is not waited for');
    follows({ onClose: (callback) => void (close = callback) }, vm);
    return () => close();
  };
  const [end] = [begin('web'), begin('web')];
  assert.throws(() => begin('web'), { code: 'BUSY' });
  begin('db');
  assert.throws(() => begin('db'), { code: 'BUSY' });
  end();
  begin('db');
  begin(null);
  assert.throws(() => begin('new'), { code: 'BUSY' });
});
