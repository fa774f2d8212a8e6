// Forks of running machines: what they have in common with the first one, what they do not, and that it goes on whatever happens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertMarkedAs, assertSound, mark } from '../support/daemon/soundness.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon, until } from '../support/daemon/test-daemon.ts';

test('a fork is the machine with another identity; it has settings and labels, but no forwards and sessions, and can be forked (10.4, 10.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world } = daemon;
  const web = await created(api, 'web', { labels: { tier: 'test' }, vcpuCount: 3 });
  await api.addForward('web', { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 18_080, guestPort: 80 });
  mark(world, web);
  const source = fakeOf(world, 'web').guest;
  source.files.set('/root/note', { content: Buffer.from('here'), mode: 0o600 });
  await done(api, api.beginVm('web', 'fork', { names: ['one', 'two'] }));
  await done(api, api.beginVm('one', 'fork', { names: ['three'] }));
  await assertSound(daemon, 'after forks');
  const vms = await api.listVms();
  assert.deepEqual(vms.map(({ name }) => name).toSorted(), ['one', 'three', 'two', 'web']);
  for (const member of ['id', 'address', 'guestAddress', 'pid'] as const) {
    assert.equal(new Set(vms.map((vm) => vm[member])).size, 4, member);
  }
  const told = vms.map(({ name }) => fakeOf(world, name).guest);
  for (const { bootId, files } of told) assert.deepEqual([bootId, files.get('/root/note')?.content.toString()], [source.bootId, 'here']);
  for (const member of ['hostname', 'machineId', 'randomSeed', 'sshHostKey', 'hosts'] as const) {
    assert.equal(new Set(told.map(({ personalization }) => JSON.stringify(personalization?.[member]))).size, 4, member);
  }
  const forks = vms.filter(({ name }) => name !== 'web');
  for (const vm of forks) {
    assert.deepEqual([vm.labels, vm.spec.vcpuCount, vm.image], [{ tier: 'test' }, 3, web.image]);
    assert.deepEqual(await api.forwards(vm.name), []);
    assertMarkedAs(world, vm, web);
    const { personalization, clockOffsetMs } = fakeOf(world, vm.name).guest;
    assert.equal(personalization?.['restored'], true);
    assert.match(JSON.stringify(personalization['network']), /"macAddress":"02:/);
    assert.ok(Math.abs(clockOffsetMs ?? Infinity) < 1000);
  }
  await done(api, api.beginVm('web', 'delete'));
  await done(api, api.beginVm('one', 'restart'));
  await done(api, api.beginVm('two', 'suspend'));
  await assertSound(daemon, 'after the end of the first one');
});

test('what cannot be forked is refused before anything exists, with the way on (10.4)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world } = daemon;
  await created(api, 'web', { start: false });
  const refusal = async (names: string[]): Promise<string> => {
    const begun = api.beginVm('web', 'fork', { names });
    const error = await begun.then(
      async (operation) => (await ended(api, operation)).error,
      (thrown: { code: string; remedy?: string }) => thrown,
    );
    assert.deepEqual(
      (await api.listVms()).map(({ name }) => name),
      ['web'],
    );
    return `${error?.code}: ${error?.remedy}`;
  };
  assert.equal(await refusal(['one']), 'WRONG_STATE: banger vm start web');
  await done(api, api.beginVm('web', 'start', { rescue: true }));
  assert.equal(await refusal(['one']), 'WRONG_STATE: banger vm restart web');
  await done(api, api.beginVm('web', 'restart'));
  assert.match(await refusal(['web']), /^NAME_TAKEN/);
  assert.match(await refusal(['one', 'one']), /^NAME_TAKEN/);
  assert.match(await refusal(['No.Name']), /^INVALID_INPUT/);
  assert.match(await refusal([]), /^INVALID_INPUT/);
  const { freeBytes } = world.host;
  world.host.freeBytes = () => Promise.resolve(1);
  assert.match(await refusal(['one']), /^NO_SPACE: .*BANGER_STATE_DIR/);
  world.host.freeBytes = freeBytes;
  await done(api, api.beginVm('web', 'suspend'));
  assert.equal(await refusal(['one']), 'WRONG_STATE: banger vm resume web');
  await assertSound(daemon, 'after refusals');
});

test('a fork whose guest does not answer is undone with all that were made with it, and the first machine goes on (10.4, 3.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world } = daemon;
  await created(api, 'web');
  world.machines.inject('two', 'never-answer-agent');
  const operation = await api.beginVm('web', 'fork', { names: ['one', 'two'] });
  const failed = ended(api, operation);
  await until(() => [...world.machines.machines.values()].some(({ spec, paused }) => spec.vmName === 'two' && !paused));
  fakeOf(world, 'two').end({ cause: 'crash', detail: 'ended by SIGKILL' });
  assert.equal((await failed).state, 'failed');
  assert.deepEqual(
    (await assertSound(daemon, 'after the failure')).map(({ name }) => name),
    ['web'],
  );
});

test('a daemon that dies in the middle of a fork leaves no half of it, and the machine goes on (10.4, 1.2)', async (t) => {
  const daemon = await daemonFor(t);
  const { world } = daemon;
  const web = await created(daemon.api, 'web');
  daemon.effects.hook = ({ name }, phase) => (name === 'machine.resume' && phase === 'before' ? 'die' : undefined);
  void daemon.api.beginVm('web', 'fork', { names: ['one', 'two'] }).catch(() => undefined);
  await daemon.effects.died;
  await daemon.kill();
  const next = await startDaemon(world);
  t.after(() => next.stop());
  assert.deepEqual(
    (await assertSound(next, 'with the next daemon')).map(({ name, pid }) => [name, pid]),
    [['web', web.pid]],
  );
});
