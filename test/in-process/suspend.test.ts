// Suspended machines: what comes back, what is refused, and what is never lost without asking.
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { vmPaths } from '../../src/model/paths.ts';
import { decodeExit, FRAME_TYPES, FrameDecoder } from '../../src/lib/frames.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon, until } from '../support/daemon/test-daemon.ts';
import type { TestWorld } from '../support/daemon/test-world.ts';
import { answering } from '../support/user/answering.ts';
import { runInProcess } from '../support/user/run-cli.ts';

const snapshotOf = (world: TestWorld, vm: { id: string }): string => vmPaths(world.directories, vm).snapshot;

test('a suspended VM resumes where it stopped, with the clock and fresh random numbers of the host, by resume and by start (10.5, 10.8)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  const { bootId } = fakeOf(world, 'web').guest;
  for (const verb of ['resume', 'start'] as const) {
    await done(api, api.beginVm('web', 'suspend'));
    const suspended = await api.showVm('web');
    assert.deepEqual([suspended.state, suspended.pid, suspended.startedAt, suspended.lastError], ['suspended', null, null, null]);
    assert.deepEqual([world.machines.machines.size, [...world.names.keys()]], [0, []]);
    await done(api, api.beginVm('web', 'suspend'));
    await done(api, api.beginVm('web', verb));
    const { guest } = fakeOf(world, 'web');
    assert.equal(guest.bootId, bootId, verb);
    assert.equal(guest.personalization?.['restored'], true);
    assert.ok(Math.abs(guest.clockOffsetMs ?? Infinity) < 1000);
    assert.match(String(guest.personalization?.['randomSeed']), /^[\w+/]{86}==$/);
    assert.deepEqual([...world.names.keys()], ['web']);
    assert.equal((await api.showVm('web')).state, 'running');
    assert.equal(existsSync(snapshotOf(world, suspended)), false);
    await done(api, api.beginVm('web', 'resume'));
  }
});

test('a VM that cannot be suspended or resumed is refused with a remedy (10.5)', async (t) => {
  const { api } = await daemonFor(t);
  await created(api, 'web', { start: false });
  const refusal = async (verb: 'suspend' | 'resume' | 'restart' | 'set', body?: object): Promise<string> => {
    const end = api.beginVm('web', verb, body as never).then((operation) => ended(api, operation));
    const error = await end.then(
      (operation) => operation.error,
      (thrown: { code: string; remedy?: string }) => thrown,
    );
    return `${error?.code}: ${error?.remedy}`;
  };
  assert.equal(await refusal('resume'), 'WRONG_STATE: banger vm start web');
  assert.equal(await refusal('suspend'), 'WRONG_STATE: banger vm start web');
  await done(api, api.beginVm('web', 'start', { rescue: true }));
  assert.equal(await refusal('suspend'), 'WRONG_STATE: banger vm stop web');
  await done(api, api.beginVm('web', 'restart'));
  await done(api, api.beginVm('web', 'suspend'));
  assert.equal(await refusal('restart'), 'WRONG_STATE: banger vm resume web', 'which loses nothing');
  await assert.rejects(api.sshAccess('web', 'running'), { code: 'WRONG_STATE', remedy: 'banger vm resume web' });
  assert.equal(await refusal('set', { vcpuCount: 1 }), 'WRONG_STATE: banger vm resume web');
});

for (const verb of ['stop', 'kill'] as const) {
  test(`${verb} discards the memory of a suspended VM and keeps its disks; a resume is then refused (10.5, 3.5)`, async (t) => {
    const { api, world } = await daemonFor(t);
    const vm = await created(api, 'web');
    const { bootId } = fakeOf(world, 'web').guest;
    await done(api, api.beginVm('web', 'suspend'));
    await done(api, api.beginVm('web', verb));
    assert.equal((await api.showVm('web')).state, 'stopped');
    assert.equal(existsSync(snapshotOf(world, vm)), false);
    const { error } = await ended(api, await api.beginVm('web', 'resume'));
    assert.equal(error?.code, 'WRONG_STATE');
    await done(api, api.beginVm('web', 'start'));
    assert.notEqual(fakeOf(world, 'web').guest.bootId, bootId);
  });
}

test('memory that cannot be restored is kept, and the error says what has changed and which command discards it (10.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  const vm = await created(api, 'web');
  const { bootId } = fakeOf(world, 'web').guest;
  await done(api, api.beginVm('web', 'suspend'));
  writeFileSync(world.image.kernelPath, 'another kernel');
  for (const verb of ['resume', 'start'] as const) {
    const { error } = await ended(api, await api.beginVm('web', verb));
    assert.equal(error?.code, 'SNAPSHOT_UNUSABLE');
    assert.match(error.message, /kernel changed/);
    assert.equal(error.remedy, 'banger vm start --discard-memory web');
    const { state, lastError } = await api.showVm('web');
    assert.equal(state, 'suspended');
    assert.match(lastError ?? '', /kernel changed/);
    assert.ok(existsSync(join(snapshotOf(world, vm), 'state')));
  }
  await done(api, api.beginVm('web', 'start', { discardMemory: true }));
  assert.notEqual(fakeOf(world, 'web').guest.bootId, bootId);
  assert.equal((await api.showVm('web')).lastError, null);
});

test('on a terminal, start asks whether to boot a VM whose memory cannot be restored; elsewhere it says how (10.5)', async (t) => {
  const { api, world } = await daemonFor(t);
  for (const name of ['web', 'db']) {
    await created(api, name);
    await done(api, api.beginVm(name, 'suspend'));
  }
  const question = /Discard the memory of (web|db) and boot it from its disks\? \[y\/N\]/g;
  writeFileSync(world.image.kernelPath, 'another kernel');
  const piped = await runInProcess(world.env, ['vm', 'start', 'web']);
  assert.equal(piped.exitCode, 1);
  assert.match(piped.stderr, /kernel changed\n {2}try: banger vm start --discard-memory web/);
  const silent = await answering({ ...world.env, BANGER_NO_INPUT: '1' }, '', ['vm', 'start', 'web']);
  assert.deepEqual([silent.exitCode, question.test(silent.text)], [1, false]);
  const declined = await answering(world.env, 'n', ['vm', 'start', 'web']);
  assert.equal(declined.exitCode, 130);
  assert.match(declined.text, /kernel changed[^]*\[y\/N\][^]*web stays suspended/);
  assert.equal((await api.showVm('web')).state, 'suspended');
  const agreed = await answering(world.env, 'y', ['vm', 'start', '--all']);
  assert.equal(agreed.exitCode, 0, agreed.text);
  assert.deepEqual(new Set(agreed.text.match(question)?.map((found) => found.split(' ')[4])), new Set(['web', 'db']));
  assert.deepEqual(new Set((await api.listVms()).map(({ state }) => state)), new Set(['running']));
});

test('a suspended VM survives the daemon; a VMM that stood still when the daemon died continues with the next one (10.5, 1.2)', async (t) => {
  const daemon = await daemonFor(t);
  const { world } = daemon;
  await created(daemon.api, 'web');
  const other = await created(daemon.api, 'other');
  const [web, left] = ['web', 'other'].map((name) => fakeOf(world, name).guest.bootId);
  await done(daemon.api, daemon.api.beginVm('web', 'suspend'));
  daemon.effects.hook = ({ name }, phase) => (name === 'machine.createSnapshot' && phase === 'after' ? 'die' : undefined);
  void daemon.api.beginVm('other', 'suspend').catch(() => undefined);
  await daemon.effects.died;
  assert.equal(fakeOf(world, 'other').paused, true);
  await daemon.kill();
  const next = await startDaemon(world);
  t.after(() => next.stop());
  assert.equal((await next.api.showVm('other')).pid, other.pid);
  assert.deepEqual([fakeOf(world, 'other').paused, fakeOf(world, 'other').guest.bootId], [false, left]);
  assert.equal((await next.api.showVm('web')).state, 'suspended');
  await done(next.api, next.api.beginVm('web', 'resume'));
  assert.equal(fakeOf(world, 'web').guest.bootId, web);
});

test('a suspended VM survives a reboot of the host (10.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { world } = daemon;
  await created(daemon.api, 'web');
  const { bootId } = fakeOf(world, 'web').guest;
  await done(daemon.api, daemon.api.beginVm('web', 'suspend'));
  await daemon.stop();
  world.network.taps.clear();
  world.storage.attached.clear();
  rmSync(`${world.directories.runtimeDirectory}/v`, { recursive: true, force: true });
  world.host = { ...world.host, bootId: () => 'the next boot' };
  const next = await startDaemon(world);
  t.after(() => next.stop());
  assert.equal((await next.api.showVm('web')).state, 'suspended');
  await done(next.api, next.api.beginVm('web', 'resume'));
  assert.equal(fakeOf(world, 'web').guest.bootId, bootId);
});

test('open sessions prevent a suspend unless they may end, and then they say why they ended (10.5, 3.13)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  const { guest } = fakeOf(world, 'web');
  const socket = await api.exec('web', { argv: ['sleep', '1000'] });
  t.after(() => socket.destroy());
  await until(() => guest.openSessions === 2);
  const { error } = await ended(api, await api.beginVm('web', 'suspend'));
  assert.deepEqual([error?.code, error?.remedy], ['BUSY', 'banger vm suspend --yes web']);
  assert.equal((await api.showVm('web')).state, 'running');
  const frames = new FrameDecoder();
  const lost = new Promise<string>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      for (const { type, payload } of frames.push(chunk)) if (type === FRAME_TYPES.exit) resolve(decodeExit(payload).reason);
    });
    socket.resume();
  });
  await done(api, api.beginVm('web', 'suspend', { endSessions: true }));
  assert.match(await lost, /^VM web was suspended/);
});
