// `banger internal nat`: the running VM's way out, by the same driver call for scripts as for the daemon.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BangerError } from '../../src/model/errors.ts';
import { shortId } from '../../src/model/vm.ts';
import { type CliOutcome, runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, type TestDaemon } from '../support/daemon/test-daemon.ts';

type NatDaemon = TestDaemon & { nat(...words: string[]): Promise<CliOutcome> };

async function natDaemon(t: TestContext): Promise<NatDaemon> {
  const daemon = await daemonFor(t);
  const { directory, directories } = daemon.world;
  const env = {
    HOME: directory,
    BANGER_NO_AUTOSTART: '1',
    BANGER_CONFIG: directories.configPath,
    BANGER_STATE_DIR: directories.stateDirectory,
    BANGER_CACHE_DIR: directories.cacheDirectory,
    BANGER_RUNTIME_DIR: directories.runtimeDirectory,
  };
  return { ...daemon, nat: (...words) => runInProcess(env, ['internal', 'nat', ...words]) };
}

test("internal nat removes running VMs' access to the outside and restores it, and show says so (6.2)", async (t) => {
  const { api, world, nat } = await natDaemon(t);
  const [web, db] = [shortId(await created(api, 'web')), shortId(await created(api, 'db', { nat: false }))];
  assert.deepEqual([...world.network.nat], [web]);
  for (let twice = 0; twice < 2; twice++) {
    assert.deepEqual(await nat('down', 'web'), { exitCode: 0, stdout: 'web\n', stderr: '' });
    assert.deepEqual([[...world.network.nat], (await api.showVm('web')).spec.nat], [[], false]);
  }
  assert.deepEqual(await nat('up', 'db', 'web'), { exitCode: 0, stdout: 'db\nweb\n', stderr: '' });
  assert.deepEqual([...world.network.nat].toSorted(), [db, web].toSorted());
  await nat('down', 'web');
  await done(api, api.beginVm('web', 'restart'));
  assert.deepEqual([[...world.network.nat], (await api.showVm('web')).spec.nat], [[db], false]);
});

test('internal nat of an unknown VM is refused with the reason, and the other VMs are changed (6.2)', async (t) => {
  const { api, world, nat } = await natDaemon(t);
  await created(api, 'web');
  const outcome = await nat('down', 'nobody', 'web');
  assert.deepEqual([outcome.exitCode, outcome.stdout, [...world.network.nat]], [3, 'web\n', []]);
  assert.match(outcome.stderr, /no VM "nobody"/);
  const sideways = await nat('sideways', 'web');
  assert.deepEqual([sideways.exitCode, sideways.stdout], [2, '']);
});

test('a network that cannot change NAT of a running VM refuses and names the way, and the record stays true (6.2)', async (t) => {
  const { api, services, nat } = await natDaemon(t);
  await created(api, 'web');
  const { setNat: _absent, ...without } = services.vms.drivers.networks()[0] ?? assert.fail();
  const before = services.vms.drivers.of;
  services.vms.drivers.of = (runtime) => ({ ...before(runtime), network: without });
  const outcome = await nat('down', 'web');
  assert.deepEqual([outcome.exitCode === 0, outcome.stdout], [false, '']);
  assert.match(outcome.stderr, /only when a VM starts[^]*banger vm stop web && banger vm set web --no-nat && banger vm start web/);
  assert.equal((await api.showVm('web')).spec.nat, true);
  await done(api, api.beginVm('web', 'set', { nat: true }));
  await done(api, api.beginVm('web', 'stop'));
  await done(api, api.beginVm('web', 'set', { nat: false }));
  assert.equal((await api.showVm('web')).spec.nat, false);
});

test('a network that fails to change NAT leaves the record as it was (6.2)', async (t) => {
  const { api, effects, nat } = await natDaemon(t);
  await created(api, 'web');
  effects.hook = ({ name }, phase) => {
    if (name === 'network.setNat' && phase === 'before') throw new BangerError('NETWORK_FAILED', 'made to fail');
  };
  const outcome = await nat('down', 'web');
  assert.equal(outcome.exitCode, 1);
  assert.match(outcome.stderr, /made to fail/);
  assert.equal((await api.showVm('web')).spec.nat, true);
});
