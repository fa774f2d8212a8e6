// `banger vm forward` and `vm ports`: CLI and daemon on fakes.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, fakeOf, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';

const cli = ({ world }: TestDaemon, ...words: string[]) => runInProcess(world.env, ['vm', ...words]);

async function running(t: TestContext, ...names: string[]): Promise<TestDaemon> {
  const daemon = await daemonFor(t);
  for (const name of names) await created(daemon.api, name);
  return daemon;
}

/** @returns what the network was told to open beside the VMs' own addresses */
function published({ world }: TestDaemon): string[] {
  return [...world.network.forwards.values()]
    .flat()
    .flatMap(({ at, port, protocol }) => (at === undefined ? [] : [`${protocol} ${at.address}:${at.port} ${port}`]));
}

test('a forward is opened at once, listed, and removed by its place on the host (6.1)', async (t) => {
  const daemon = await running(t, 'web');
  assert.deepEqual(await cli(daemon, 'forward', 'web', '8080:80', '0.0.0.0:5353:53/udp'), {
    exitCode: 0,
    stdout: '127.0.0.1:8080\n0.0.0.0:5353/udp\n',
    stderr: '',
  });
  assert.deepEqual(published(daemon), ['tcp 127.0.0.1:8080 80', 'udp 0.0.0.0:5353 53']);
  const listed = await cli(daemon, 'forward', 'list');
  assert.match(listed.stdout, /^web +127\.0\.0\.1:8080 +80\/tcp +open$/m);
  assert.equal((await cli(daemon, 'forward', 'remove', 'web', '8080')).exitCode, 0);
  assert.deepEqual(published(daemon), ['udp 0.0.0.0:5353 53']);
  const again = await cli(daemon, 'forward', 'remove', 'web', '8080');
  assert.deepEqual([again.exitCode, again.stdout], [3, '']);
  assert.match(again.stderr, /banger vm forward list web/);
});

test('conflicts are refused first, with the owner of the port and a remedy; repeating a forward is fine (6.1)', async (t) => {
  const daemon = await running(t, 'web', 'db');
  await cli(daemon, 'forward', 'web', '8080:80');
  assert.equal((await cli(daemon, 'forward', 'web', '8080:80')).exitCode, 0);
  for (const spec of ['8080:80', '0.0.0.0:8080:80']) {
    const refused = await cli(daemon, 'forward', 'db', spec);
    assert.deepEqual([refused.exitCode, refused.stdout], [1, '']);
    assert.match(
      refused.stderr,
      /127\.0\.0\.1:8080\/tcp is forwarded to port 80 of web[^]*banger vm forward remove web 127\.0\.0\.1:8080\/tcp/,
    );
  }
  assert.equal((await cli(daemon, 'forward', 'web', '8080:81')).exitCode, 1);
  assert.equal((await cli(daemon, 'forward', 'db', '8080:80/udp')).exitCode, 0);
  const own = await cli(daemon, 'forward', 'db', '127.213.0.9:8080:80');
  assert.deepEqual([own.exitCode, (await daemon.api.forwards('db')).length], [2, 1]);
});

test('a port that another program uses is refused, whether or not the VM runs (6.1)', async (t) => {
  const daemon = await running(t, 'web');
  const before = daemon.services.vms.drivers.of;
  daemon.services.vms.drivers.of = (runtime) => {
    const [network] = daemon.services.vms.drivers.networks();
    assert.ok(network !== undefined);
    return { ...before(runtime), network: { ...network, probeForward: () => Promise.resolve('another program uses it') } };
  };
  const refused = await cli(daemon, 'forward', 'web', '127.0.0.1:80:80');
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /another program uses it[^]*banger vm forward web 127\.0\.0\.1:8080:80\/tcp/);
  assert.deepEqual(await daemon.api.forwards('web'), []);
  daemon.services.vms.drivers.of = (runtime) => {
    const { probeForward: _absent, ...network } = daemon.services.vms.drivers.networks()[0] ?? assert.fail();
    return { ...before(runtime), network };
  };
  assert.match((await cli(daemon, 'forward', 'web', '8080:80')).stderr, /forwards no ports/);
});

test('forwards survive stops of the VM and restarts of the daemon, and end with the VM (6.1)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const first = await startDaemon(world);
  await created(first.api, 'web');
  await cli(first, 'forward', 'web', '8080:80');
  await done(first.api, first.api.beginVm('web', 'stop'));
  assert.deepEqual(published(first), []);
  assert.match((await cli(first, 'forward', 'list', 'web')).stdout, /while the VM runs/);
  await done(first.api, first.api.beginVm('web', 'start'));
  assert.deepEqual(published(first), ['tcp 127.0.0.1:8080 80']);
  await first.kill();
  world.network.forwards.clear();
  const second = await startDaemon(world);
  t.after(() => second.stop());
  assert.deepEqual(published(second), ['tcp 127.0.0.1:8080 80']);
  await done(second.api, second.api.beginVm('web', 'delete'));
  await created(second.api, 'db');
  assert.equal((await cli(second, 'forward', 'db', '8080:80')).exitCode, 0);
});

test('vm ports tells listeners, low ports and forwards from each other (3.12)', async (t) => {
  const daemon = await running(t, 'web');
  const guest = fakeOf(daemon.world, 'web').guest;
  const row = { pid: 9, process: 'nginx', command: 'nginx: master' };
  guest.ports.push(
    { protocol: 'tcp', address: '0.0.0.0', port: 80, ...row },
    { protocol: 'tcp', address: '::', port: 80, ...row },
    { protocol: 'tcp', address: '127.0.0.1', port: 5432, ...row },
  );
  await cli(daemon, 'forward', 'web', '9090:80');
  const { address } = await daemon.api.showVm('web');
  const { stdout } = await cli(daemon, 'ports', 'web');
  assert.match(stdout, new RegExp(`^tcp +${address}:8080 \\(80 in the guest\\) +nginx\\(9\\) +nginx: master$`, 'm'));
  assert.match(stdout, /^tcp +127\.0\.0\.1:9090 \(forward of 80\) /m);
  assert.match(stdout, /^tcp +127\.0\.0\.1:5432 \(in the guest only\) /m);
  assert.equal(stdout.match(/8080/g)?.length, 1, 'the dual-stack service is one row');
});

test('after twenty VMs no listener is left (6.1)', async (t) => {
  const daemon = await daemonFor(t);
  for (let at = 0; at < 20; at++) {
    await created(daemon.api, 'web');
    await cli(daemon, 'forward', 'web', '8080:80');
    await until(() => [...daemon.world.network.forwards.values()].flat().length >= 2);
    await done(daemon.api, daemon.api.beginVm('web', 'delete'));
    assert.deepEqual([[...daemon.world.network.forwards.values()].flat(), [...daemon.world.names]], [[], []]);
  }
});
