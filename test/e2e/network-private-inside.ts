// The tests of the private network that need a host of their own; started by network-private.test.ts.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { networkConformance } from '../../src/drivers/network/conformance.ts';
import type { NetworkDriver, NetworkVm } from '../../src/drivers/network/contract.ts';
import { controlOne, holderInfo } from '../../src/drivers/network/control-client.ts';
import { createPrivateNetwork } from '../../src/drivers/network/private/driver.ts';
import type { Machine } from '../../src/drivers/hypervisor/contract.ts';
import { realHost } from '../../src/host/host.ts';
import { addressesOf } from '../../src/model/network.ts';
import { type FakeGuest, plugGuest, privatePlace } from '../support/guest/fake-guest.ts';

const forwarderPath = process.env['LAB_FORWARDER'] ?? '';
const runtimeDirectory = join(process.env['LAB_WORK'] ?? '', 'run');
const socketPath = join(runtimeDirectory, 'network.sock');
await mkdir(runtimeDirectory, { recursive: true, mode: 0o700 });

let spawns = 0;
const host = {
  ...realHost,
  run: (...args: Parameters<typeof realHost.run>) => {
    spawns++;
    return realHost.run(...args);
  },
};
const open = (): NetworkDriver => createPrivateNetwork({ host, forwarderPath, runtimeDirectory });
const never = new AbortController().signal;
const noMachine = {} as Machine;

function vmOf(index: number, nat = true): NetworkVm {
  return { shortId: index.toString(16).padStart(8, '0'), addresses: addressesOf(index), nat };
}

/** Everything of this driver that still runs, by command line. */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(runtimeDirectory));
}

/** What a TCP server says first, `refused` or `silent`. */
function hear(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const timer = setTimeout(() => resolve((socket.destroy(), 'silent')), 3000);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => (clearTimeout(timer), resolve('refused')));
    socket.on('close', () => (clearTimeout(timer), resolve(text.trim() || 'refused')));
  });
}

function echoUdp(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const timer = setTimeout(() => resolve((socket.close(), 'silent')), 3000);
    socket.on('message', (message) => (clearTimeout(timer), socket.close(), resolve(message.toString())));
    socket.send('datagram', port, address);
  });
}

networkConformance('private', {
  open,
  machine: noMachine,
  remains: async () => {
    if ((await holderInfo(socketPath)) === undefined) return [...processes(), ...readdirSync(runtimeDirectory)];
    return (await controlOne(socketPath, 'tap list')).map((line) => line.slice('tap '.length));
  },
});

test('what a daemon made that ended before the rules were set can be detached and swept (3.8, 9.5)', async () => {
  const dying = { ...host, run: () => Promise.reject(new Error('killed')) };
  const first = createPrivateNetwork({ host: dying, forwarderPath, runtimeDirectory });
  await assert.rejects(first.ensure(never), /rules could not be set: killed/);
  assert.ok(await holderInfo(socketPath), 'its holder is there, without rules');
  const next = open();
  await next.detach(vmOf(2));
  await createPrivateNetwork({ host, forwarderPath, runtimeDirectory }).sweep([vmOf(3)]);
  await next.sweep([]);
  assert.deepEqual(processes(), []);
});

describe('guests of the private network', () => {
  const driver = open();
  const guests: FakeGuest[] = [];
  const plug = async (vm: NetworkVm): Promise<FakeGuest> => {
    const attachment = await driver.attach(vm, never);
    const guest = await plugGuest(privatePlace(forwarderPath, attachment), vm, attachment);
    guests.push(guest);
    return guest;
  };
  let open1: FakeGuest, open2: FakeGuest, closed: FakeGuest;
  before(async () => {
    await driver.ensure(never);
    [open1, open2, closed] = [await plug(vmOf(2)), await plug(vmOf(3)), await plug(vmOf(4, false))];
    for (const guest of guests) {
      await guest.serve('TCP-LISTEN:8000', `SYSTEM:echo guest ${guest.vm.addresses.guestAddress}`);
      await guest.serve('UDP-LISTEN:8000', 'EXEC:cat');
    }
  });
  after(async () => {
    for (const guest of guests) await guest.end();
    await driver.sweep([]);
  });
  const hearFrom = (guest: FakeGuest, address: string, port: number): Promise<string> =>
    guest.sh(`socat -T2 -u TCP:${address}:${port},connect-timeout=1 -`);

  test('a listening port appears on the VM’s loopback address, TCP and UDP, and vanishes (6.1)', async () => {
    for (const { vm } of guests) {
      const results = await driver.setForwards(
        vm,
        [
          { protocol: 'tcp', port: 8000 },
          { protocol: 'udp', port: 8000 },
        ],
        noMachine,
      );
      assert.deepEqual(
        results.map((r) => r.problem),
        [undefined, undefined],
      );
      assert.equal(await hear(vm.addresses.loopbackAddress, 8000), `guest ${vm.addresses.guestAddress}`);
      assert.equal(await echoUdp(vm.addresses.loopbackAddress, 8000), 'datagram');
    }
    await driver.setForwards(open1.vm, [], noMachine);
    assert.equal(await hear(open1.vm.addresses.loopbackAddress, 8000), 'refused');
    assert.equal(await hear(open2.vm.addresses.loopbackAddress, 8000), 'guest 10.213.0.3');
  });

  test('a port that another program has is reported (6.1)', async () => {
    await driver.setForwards(open1.vm, [{ protocol: 'tcp', port: 8000 }], noMachine);
    const twin = { ...vmOf(5), addresses: { ...vmOf(5).addresses, loopbackAddress: open1.vm.addresses.loopbackAddress } };
    const [result] = await driver.setForwards(twin, [{ protocol: 'tcp', port: 8000 }], noMachine);
    assert.equal(result?.hostPort, null);
    assert.match(result?.problem ?? '', /another program uses 127\.213\.0\.2:8000/);
  });

  test('VMs reach each other by address, also without NAT (6.1)', async () => {
    assert.equal(await hearFrom(open1, '10.213.0.3', 8000), 'guest 10.213.0.3');
    assert.equal(await hearFrom(open2, '10.213.0.4', 8000), 'guest 10.213.0.4');
    assert.equal(await hearFrom(closed, '10.213.0.2', 8000), 'guest 10.213.0.2');
  });

  test('without NAT nothing goes out, not even names, whatever route the guest sets (6.1)', async () => {
    await closed.sh('ip route add default via 10.213.0.1');
    assert.equal(await hearFrom(closed, '192.0.2.1', 7000), 'failed');
    assert.equal(await hearFrom(closed, '192.0.2.10', 7002), 'failed');
    assert.match(await closed.sh('dig +short +time=1 +tries=1 @169.254.213.53 example.com'), /failed|no servers|timed out/);
  });

  test('no address leads to the host’s loopback (6.1)', async () => {
    await open1.sh(
      'sysctl -qw net.ipv4.conf.all.route_localnet=1; ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via 10.213.0.1',
    );
    for (const address of ['127.0.0.1', '198.51.100.7']) assert.equal(await hear(address, 7001), 'host-loopback');
    for (const address of [
      '127.0.0.1',
      '10.213.0.1',
      '169.254.213.1',
      '169.254.213.2',
      '169.254.213.53',
      '192.0.2.10',
      '198.51.100.7',
      '0.0.0.0',
    ]) {
      assert.equal(await hearFrom(open1, address, 7001), 'failed', address);
    }
    const forwarded = open2.vm.addresses.loopbackAddress;
    assert.equal(await hear(forwarded, 8000), 'guest 10.213.0.3');
    assert.equal(await hearFrom(open1, forwarded, 8000), 'failed');
  });

  test('a cloud’s metadata address is out of reach (6.1)', async () => {
    assert.equal(await hear('169.254.169.254', 7000), 'internet 192.0.2.10');
    assert.equal(await hearFrom(open1, '169.254.169.254', 7000), 'failed');
  });

  test('a guest cannot take another’s address or MAC (6.1)', async () => {
    const take = await open2.sh(
      'ip address add 10.213.0.99/16 dev eth0; socat -T2 -u TCP:10.213.0.4:8000,bind=10.213.0.99,connect-timeout=1 -',
    );
    assert.equal(take, 'failed');
    await open2.sh('ip link set eth0 address 02:62:67:00:00:04');
    assert.equal(await hearFrom(open2, '10.213.0.4', 8000), 'failed');
    await open2.sh('ip link set eth0 address 02:62:67:00:00:03');
    assert.equal(await hearFrom(open2, '10.213.0.4', 8000), 'guest 10.213.0.4');
  });

  test('a guest reaches nothing that listens in the namespace itself (6.1)', async () => {
    const innerPid = (await holderInfo(socketPath))?.innerPid ?? 0;
    const argv = [forwarderPath, 'enter-admin', String(innerPid), 'socat', 'TCP-LISTEN:7003,fork,reuseaddr', 'SYSTEM:echo inside'];
    const { identity } = await realHost.spawnDetached(argv, { outputPath: '/dev/null' });
    const listen = `${forwarderPath} enter-admin ${innerPid} socat -T2 -u TCP:10.213.0.1:7003,retry=20,interval=0.05 -`;
    assert.equal((await realHost.run(listen.split(' '))).stdout.trim(), 'inside');
    for (const address of ['10.213.0.1', '169.254.213.2']) assert.equal(await hearFrom(open2, address, 7003), 'failed');
    await realHost.endProcess(identity, 500);
  });
});

describe('the holder of the private network', () => {
  test('an attach costs one command, forwards none (6.1)', async () => {
    const driver = open();
    await driver.ensure(never);
    const atStart = spawns;
    const startedAt = performance.now();
    await driver.attach(vmOf(2), never);
    const attachMs = performance.now() - startedAt;
    assert.equal(spawns - atStart, 1);
    await driver.setForwards(vmOf(2), [{ protocol: 'tcp', port: 8000 }], noMachine);
    assert.equal(spawns - atStart, 1);
    await driver.detach(vmOf(2));
    assert.equal(spawns - atStart, 2);
    console.log(`attach took ${attachMs.toFixed(1)} ms`);
    await driver.sweep([]);
  });

  for (const half of ['outerPid', 'innerPid'] as const) {
    test(`when its ${half === 'outerPid' ? 'outer' : 'inner'} half is killed nothing stays half alive, and ensure makes it anew (9.5)`, async () => {
      const driver = open();
      await driver.ensure(never);
      const info = await holderInfo(socketPath);
      assert.ok(info);
      process.kill(info[half], 'SIGKILL');
      const deadline = Date.now() + 30_000;
      while (processes().length > 0 && Date.now() < deadline) await sleep(20);
      assert.deepEqual(processes(), []);
      await driver.attach(vmOf(2), never);
      assert.notEqual((await holderInfo(socketPath))?.innerPid, info.innerPid);
      await driver.sweep([]);
      assert.deepEqual(processes(), []);
      assert.deepEqual(readdirSync(runtimeDirectory), []);
    });
  }

  test('checks try the real thing and pass here (9.3)', async () => {
    const { findings } = await open().checks();
    assert.deepEqual(
      findings.map((v) => [v.name, v.level]),
      [['network.private', 'pass']],
    );
  });
});
