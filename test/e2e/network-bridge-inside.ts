// The bridge network for real, on a host of its own with a fake outside; started by network-bridge.test.ts as root.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { networkConformance } from '../../src/drivers/network/conformance.ts';
import type { NetworkVm } from '../../src/drivers/network/contract.ts';
import { bridgeForwarder, createBridgeNetwork } from '../../src/drivers/network/bridge/driver.ts';
import type { Machine } from '../../src/drivers/hypervisor/contract.ts';
import { realHost } from '../../src/host/host.ts';
import { type CommandFailure, run } from '../../src/host/spawn.ts';
import type { Forwarder } from '../../src/drivers/network/forwarder-process.ts';
import { addressesOf } from '../../src/model/network.ts';
import {
  askAs,
  askRaw,
  helper,
  helperLog,
  OTHER_UID,
  ownerOf,
  ownLinks,
  picture,
  rules,
  type RunningHelper,
  startHelper,
  until,
} from '../support/outside/bridge-lab.ts';
import { type FakeGuest, hostPlace, plugGuest } from '../support/guest/fake-guest.ts';

const host = { ...realHost, readWriteProblem: () => Promise.resolve(undefined) };
const runtimeDirectory = mkdtempSync(join(process.env['LAB_WORK'] ?? '', 'run-'));
const open = () => {
  const forwarder = bridgeForwarder({ host, forwarderPath: process.env['LAB_FORWARDER'] ?? '', runtimeDirectory });
  return createBridgeNetwork({ host, helper, forwarder });
};
const never = new AbortController().signal;

function vmOf(index: number, nat = true): NetworkVm {
  return { shortId: index.toString(16).padStart(8, '0'), addresses: addressesOf(index), nat };
}

const untouched = await picture();
let running: RunningHelper = await startHelper();
after(async () => {
  await askRaw('network down');
  await running.end();
  assert.equal(await picture(), untouched, 'the host is as it was');
  assert.deepEqual(readdirSync(runtimeDirectory), [], 'no forwarder has stayed');
});

networkConformance('bridge', {
  open,
  machine: {} as Machine,
  remains: async () => (await ownLinks()).filter((name) => name !== 'bgr-bridge'),
});

describe('the verbs of the helper', () => {
  after(() => open().sweep([]));

  test('the network goes up and down again and again and leaves the host as it was (6.2)', async () => {
    for (let round = 0; round < 3; round++) {
      assert.match(await askRaw('network up'), /^network up uplink=out0 resolver=192\.0\.2\.1 dropped-by=-\nok\n$/);
      assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(), '0', 'the host is made no router');
      await askRaw('network up');
      await askRaw('network down');
      assert.equal(await askRaw('network down'), 'ok\n');
      assert.equal(await picture(), untouched);
    }
  });

  test('twenty TAPs come and go and leave the host as it was (6.2, 9.5)', async () => {
    for (let index = 2; index < 22; index++) {
      assert.equal(await askRaw(`tap add ${vmOf(index).shortId} ${index} ${index % 2 === 0 ? 'nat' : 'closed'}`), 'ok\n');
      if (index % 3 === 0) assert.equal(await askRaw(`tap remove ${vmOf(index).shortId}`), 'ok\n');
    }
    assert.equal((await ownLinks()).length, 1 + 13);
    assert.match(await askRaw('network down'), /^error EBUSY bgr-[0-9a-f]{8} of user 0 is on it\n$/);
    for (let index = 2; index < 22; index++) assert.equal(await askRaw(`tap remove ${vmOf(index).shortId}`), 'ok\n');
    assert.equal(await askRaw('network down'), 'ok\n');
    assert.equal(await picture(), untouched);
  });

  test('idle TAPs are kept ready, are told as capacity, and may send nothing (6.2)', async () => {
    const idle = async (): Promise<string> => /pool (.*)\n/.exec(await askRaw('list'))?.[1] ?? '';
    await askRaw('network up');
    await until('a full pool', async () => (await idle()) === 'idle=4 of=4');
    const { stdout: pooled } = await run(['ip', '-br', 'link']);
    await askRaw('tap add 00000002 2 nat');
    const { stdout: used } = await run(['ip', '-j', 'link', 'show', 'bgr-00000002']);
    const [{ address } = { address: '' }] = JSON.parse(used) as { address: string }[];
    assert.match(pooled, new RegExp(`^bgr-pool-0 .*${address}`, 'm'), 'it was one of the pool');
    await until('a full pool again', async () => (await idle()) === 'idle=4 of=4');
    assert.doesNotMatch(await askRaw('list'), /^tap .*pool/m);
    assert.doesNotMatch(await rules(), /bgr-pool/);
    await askRaw('tap remove 00000002');
    await askRaw('network down');
  });

  test('a TAP belongs to its user, and so does its number (6.2)', async () => {
    assert.equal(await askAs(OTHER_UID, 'tap add 00000002 2 nat'), 'ok');
    assert.equal(await ownerOf('bgr-00000002'), OTHER_UID);
    assert.equal(await askRaw('tap add 00000002 2 closed'), 'error EPERM bgr-00000002 belongs to another user\n');
    assert.equal(await askRaw('tap add 00000003 2 nat'), `error EADDRINUSE index 2 belongs to bgr-00000002 of user ${OTHER_UID}\n`);
    assert.equal(await askAs(OTHER_UID, 'tap add 00000002 3 nat'), 'error EEXIST bgr-00000002 has index 2');
    assert.equal(await askRaw('tap add 00000004 4 nat'), 'ok\n');
    assert.equal(await askAs(OTHER_UID, 'tap remove 00000004'), 'error EPERM tap 00000004 belongs to another user');
    assert.equal(await askAs(OTHER_UID, 'network down').then((line) => line.split(' ')[1]), 'EBUSY');
    await open().sweep([]);
    assert.deepEqual(await ownLinks(), ['bgr-bridge', 'bgr-00000002'], "another user's TAP stays");
    assert.equal(await askAs(OTHER_UID, 'tap remove 00000002'), 'ok');
  });

  test('a request that makes no sense is refused and changes nothing (6.2, 9.4)', async () => {
    await askRaw('network up');
    await until('a full pool', async () => (await askRaw('list')).includes('idle=4'));
    const earlier = await picture();
    for (const request of [
      'tap add 00000002 1 nat',
      'tap add 00000002 65280 nat',
      'tap add 00000002 -2 nat',
      'tap add 00000002 2 open',
      'tap add 00000002 2',
      'tap add 0000002 2 nat',
      'tap add ../../00 2 nat',
      'tap remove 0000000g',
      'network sideways',
    ])
      assert.match(await askRaw(request), /^error EINVAL /, request);
    assert.equal(await picture(), earlier);
    await askRaw('network down');
  });

  test('a user has a quota (6.2)', async () => {
    const requests = Array.from({ length: 65 }, (_, i) => `tap add ${vmOf(i + 2).shortId} ${i + 2} closed`);
    for (const request of requests.slice(0, 64)) assert.equal(await askAs(OTHER_UID, request), 'ok');
    assert.match(await askAs(OTHER_UID, requests[64] ?? ''), /^error EDQUOT /);
    for (let index = 2; index < 66; index++) assert.equal(await askAs(OTHER_UID, `tap remove ${vmOf(index).shortId}`), 'ok');
    assert.equal(await askRaw('network down'), 'ok\n');
    assert.equal(await picture(), untouched);
  });
});

describe('rules that others change', () => {
  before(() => open().attach(vmOf(2), never));
  after(() => open().sweep([]));

  test('flushed or edited, they are there again at once, and nobody answers to himself (6.2, 9.5)', async () => {
    const right = await rules();
    const applied = (): number => readFileSync(helperLog, 'utf8').split('applied again').length;
    const appliedBefore = applied();
    for (const command of [
      ['nft', 'flush', 'ruleset'],
      ['nft', 'delete', 'table', 'ip', 'banger'],
      ['nft', 'flush', 'chain', 'bridge', 'banger', 'prerouting'],
      ['nft', 'flush', 'set', 'bridge', 'banger', 'guests'],
    ]) {
      await run(command);
      await until(command.join(' '), async () => (await rules()) === right);
    }
    await sleep(600);
    assert.equal(applied() - appliedBefore, 4);
  });

  test("others' tables are none of its business (6.2)", async () => {
    const applied = readFileSync(helperLog, 'utf8').split('applied again').length;
    await run(['nft', '-f', '-'], { input: 'table ip other { chain forward { type filter hook forward priority 0; policy drop; }; }' });
    await sleep(400);
    assert.equal(readFileSync(helperLog, 'utf8').split('applied again').length, applied);
    assert.match(await rules(), /table ip other/);
    assert.match(await askRaw('network up'), / dropped-by=ip\/other\/forward\n/);
    const { findings } = await open().checks();
    assert.deepEqual(
      findings.map(({ name, level }) => `${level} ${name}`),
      ['pass network.bridge', 'warn network.bridge.forward'],
    );
    await run(['nft', 'delete', 'table', 'ip', 'other']);
  });

  test('a helper that is killed finds its network again and watches over it (9.5)', async () => {
    const right = await rules();
    await running.end('SIGKILL');
    await run(['nft', 'flush', 'ruleset']);
    running = await startHelper();
    assert.equal(await rules(), right);
    assert.match(await askRaw('list'), /^tap 00000002 uid=0 index=2 nat$/m);
    await run(['nft', 'flush', 'ruleset']);
    await until('the rules', async () => (await rules()) === right);
  });
});

describe('guests of the bridge', () => {
  const driver = open();
  const guests: FakeGuest[] = [];
  const plug = async (vm: NetworkVm): Promise<FakeGuest> => {
    const guest = await plugGuest(hostPlace(), vm, await driver.attach(vm, never));
    guests.push(guest);
    return guest;
  };
  let left: FakeGuest, right: FakeGuest, closed: FakeGuest;
  before(async () => {
    await driver.ensure(never);
    [left, right, closed] = [await plug(vmOf(2)), await plug(vmOf(3)), await plug(vmOf(4, false))];
    for (const guest of guests) await guest.serve('TCP-LISTEN:8000', `SYSTEM:echo guest ${guest.vm.addresses.guestAddress}`);
  });
  after(async () => {
    for (const guest of guests) await guest.end();
    await driver.sweep([]);
  });
  const ping = async (guest: FakeGuest, address: string): Promise<boolean> =>
    (await guest.sh(`python3 ${join(import.meta.dirname, '../support/guest/ping-guest.py')} ${address}`)).endsWith('are you there?');
  const hear = (guest: FakeGuest, address: string, port: number): Promise<string> =>
    guest.sh(`socat -T2 -u TCP:${address}:${port},connect-timeout=1 -`);

  test('the host reaches guests at their own addresses, guests each other (6.2)', async () => {
    for (const { vm } of guests) {
      const { guestAddress } = vm.addresses;
      const { stdout } = await run(['socat', '-T2', '-u', `TCP:${guestAddress}:8000,connect-timeout=1`, '-']);
      assert.equal(stdout.trim(), `guest ${guestAddress}`);
      assert.equal(await hear(left, guestAddress, 8000), `guest ${guestAddress}`);
    }
    assert.equal(await hear(closed, '10.213.0.3', 8000), 'guest 10.213.0.3');
  });

  test('a forward leads from an address of the host to the guest, with its bytes, and goes with it (6.2)', async () => {
    const at = { address: '192.0.2.10', port: 18_000 };
    const listener = { protocol: 'tcp' as const, port: 8000, at };
    const [result] = await driver.setForwards(right.vm, [listener], {} as Machine);
    assert.deepEqual(result, { ...listener, hostAddress: at.address, hostPort: at.port });
    const knock = ['socat', '-T2', '-u', `TCP:${at.address}:${at.port},connect-timeout=1`, '-'];
    assert.equal((await run(knock)).stdout.trim(), `guest ${right.vm.addresses.guestAddress}`);
    assert.equal(await driver.probeForward?.(left.vm, listener), `another program uses ${at.address}:${at.port}`);
    await driver.setForwards(right.vm, [], {} as Machine);
    await assert.rejects(run(knock));
  });

  test('a guest with NAT reaches the outside as the host, by TCP, UDP and ping (6.2)', async () => {
    assert.equal(await hear(left, '192.0.2.1', 7000), 'internet 192.0.2.10');
    assert.equal(await left.sh('echo datagram | socat -T2 - UDP:192.0.2.1:7000'), 'datagram');
    assert.equal(await ping(left, '192.0.2.1'), true);
  });

  test("names are answered by the host's own name server (6.2)", async () => {
    assert.notEqual(await left.sh('dig +time=2 +tries=1 +short @169.254.213.53 example.org'), 'failed');
    assert.notEqual(await left.sh('dig +tcp +time=2 +tries=1 +short @169.254.213.53 example.org'), 'failed');
    assert.equal(await closed.sh('ip route add default via 10.213.0.1; dig +time=1 +tries=1 +short @169.254.213.53 example.org'), 'failed');
  });

  test('without NAT there is no way out, whatever route a guest sets (6.2)', async () => {
    await closed.sh('ip route replace default via 10.213.0.1');
    assert.equal(await hear(closed, '192.0.2.1', 7000), 'failed');
    assert.equal(await ping(closed, '192.0.2.1'), false);
  });

  test('NAT given and taken while it runs: also open connections are cut (6.2)', async () => {
    await driver.setNat?.({ ...closed.vm, nat: true });
    assert.equal(await hear(closed, '192.0.2.1', 7000), 'internet 192.0.2.10');
    const [heard, cut] = [join(runtimeDirectory, 'heard'), join(runtimeDirectory, 'cut')];
    // What was said comes back, until the connection is cut.
    const talk = `{ echo one; until [ -e ${cut} ]; do sleep 0.1; done; echo two; sleep 1; } | socat -T20 - UDP:192.0.2.1:7000 >${heard}`;
    const over = closed.sh(`${talk}; true`);
    await until('the answer', async () => (await realHost.readIfThere(heard)) === 'one\n');
    await driver.setNat?.(closed.vm);
    writeFileSync(cut, '');
    await over;
    assert.equal(readFileSync(heard, 'utf8'), 'one\n');
    for (const path of [heard, cut]) rmSync(path);
    assert.equal(await hear(closed, '192.0.2.1', 7000), 'failed');
  });

  test('no address leads a guest into the host, but ping to the bridge (6.2)', async () => {
    for (const [address, port] of [
      ['10.213.0.1', 7001],
      ['127.0.0.1', 7001],
      ['198.51.100.7', 7001],
      ['192.0.2.10', 7002],
      ['169.254.169.254', 7000],
      ['169.254.213.53', 7000],
    ] as const)
      assert.equal(await hear(left, address, port), 'failed', address);
    assert.equal(await ping(left, '10.213.0.1'), true);
    assert.equal(await ping(left, '192.0.2.10'), false);
  });

  test('a guest sends with its own MAC and address only, also in ARP (6.2)', async () => {
    const hearAs = (address: string): Promise<string> => left.sh(`socat -T2 -u TCP:10.213.0.4:8000,connect-timeout=1,bind=${address} -`);
    await left.sh('ip address add 10.213.0.3/16 dev eth0; ip address add 10.213.9.9/16 dev eth0');
    for (const forged of ['10.213.0.3', '10.213.9.9']) assert.equal(await hearAs(forged), 'failed', forged);
    await run(['sh', '-c', 'socat -u TCP:10.213.9.9:8000,connect-timeout=1 - 2>/dev/null || true']);
    assert.match((await run(['ip', 'neigh', 'show', '10.213.9.9'])).stdout, /FAILED|INCOMPLETE/, 'its ARP is not heard');
    await left.sh('ip address del 10.213.0.3/16 dev eth0; ip address del 10.213.9.9/16 dev eth0');
    assert.equal(await hearAs('10.213.0.2'), 'guest 10.213.0.4');
    await left.sh('ip link set eth0 address 02:62:67:00:00:03');
    assert.equal(await ping(left, '10.213.0.1'), false);
    await left.sh(`ip link set eth0 address ${left.vm.addresses.macAddress}; ip route replace default via 10.213.0.1`);
    assert.equal(await ping(left, '10.213.0.1'), true);
  });

  test('of the host’s users the owner of a VM reaches it, and root; the others do when it is shared (12.8)', async () => {
    const knock = async (uid: number): Promise<string> => {
      const as = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
      const command = [...as, 'socat', '-T2', '-u', `TCP:${left.vm.addresses.guestAddress}:8000,connect-timeout=2`, '-'];
      return (await run(command).catch((error: CommandFailure) => error.outcome)).stdout.trim();
    };
    const greeting = `guest ${left.vm.addresses.guestAddress}`;
    assert.equal(await knock(0), greeting);
    assert.equal(await knock(OTHER_UID), '');
    const shared = createBridgeNetwork({ host, helper, forwarder: {} as Forwarder, share: 'everyone' });
    await shared.setNat?.(left.vm);
    assert.equal(await knock(OTHER_UID), greeting);
    await driver.setNat?.(left.vm);
    assert.equal(await knock(OTHER_UID), '');
    assert.equal(await askAs(OTHER_UID, 'tap add 00000009 9 nat'), 'ok');
    assert.match(await rules(), /\b(1001|\w+) \. 10\.213\.0\.9\b/);
    assert.equal(await askAs(OTHER_UID, 'tap remove 00000009'), 'ok');
  });

  test('a TAP whose owner gives it the address of another VM is cut off, and the other VM goes on (12.8)', async () => {
    const taken = right.vm.addresses.macAddress;
    const greeting = async (): Promise<string> =>
      (await run(['socat', '-T2', '-u', `TCP:${right.vm.addresses.guestAddress}:8000,connect-timeout=2`, '-'])).stdout.trim();
    assert.equal(await askAs(OTHER_UID, 'tap add 00000009 9 nat'), 'ok');
    const steal = `import fcntl, os, socket, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"bgr-00000009", 0x5002))
fcntl.ioctl(tap, 0x8924, struct.pack("16sH6s16x", b"bgr-00000009", 1, bytes.fromhex("${taken.replaceAll(':', '')}")))`;
    await run(['python3', '-c', steal]);
    await until('the cut', async () => (await askRaw('list')).includes(`tap 00000009 uid=${OTHER_UID} index=9 nat cut-off`));
    assert.equal(await greeting(), `guest ${right.vm.addresses.guestAddress}`);
    assert.match(readFileSync(helperLog, 'utf8'), new RegExp(`^bgr-00000009 of user ${OTHER_UID} was cut off`, 'm'));
    assert.match(await askAs(OTHER_UID, 'tap add 00000009 9 closed'), /^error EPERM bgr-00000009 was cut off/);
    const finding = (await driver.checks()).findings.find(({ name }) => name === 'network.bridge.tap');
    assert.match(finding?.reason ?? '', /bgr-00000009/);
    assert.equal(await askAs(OTHER_UID, 'tap remove 00000009'), 'ok');
    assert.equal(await askAs(OTHER_UID, 'tap add 00000009 9 nat'), 'ok', 'a new start has a new one');
    assert.equal(await askAs(OTHER_UID, 'tap remove 00000009'), 'ok');
  });

  test('nobody outside gets in, not even by a route to the guests (6.2)', async () => {
    const internet = ['nsenter', `--net=/proc/${process.env['LAB_INTERNET_PID']}/ns/net`];
    await run([...internet, 'ip', 'route', 'add', '10.213.0.0/16', 'via', '192.0.2.10']);
    const knock = `socat -T2 -u TCP:10.213.0.3:8000,connect-timeout=1 - || echo refused`;
    assert.equal((await run([...internet, 'sh', '-c', knock])).stdout.trim(), 'refused');
    assert.equal(await hear(right, '192.0.2.1', 7000), 'internet 192.0.2.10', 'what it opens itself is answered');
  });

  test('the uplink is looked for again when routes change; without one NAT rests (6.2)', async () => {
    await run(['ip', 'route', 'del', 'default']);
    await until('no uplink', async () => !(await rules()).includes('oifname "out0" accept'));
    assert.equal(readFileSync('/proc/sys/net/ipv4/conf/out0/forwarding', 'utf8').trim(), '0', 'given back');
    assert.match(await askRaw('network up'), /uplink=- /);
    await run(['ip', 'route', 'add', 'default', 'via', '192.0.2.1']);
    await until('the uplink', async () => (await rules()).includes('oifname "out0" accept'));
    assert.equal(await hear(left, '192.0.2.1', 7000), 'internet 192.0.2.10');
  });
});

describe('a helper that fails', () => {
  const requests = ['network up', 'tap add 00000002 2 nat'];
  for (const request of requests) {
    for (const ending of ['', ':crash']) {
      test(`${ending === '' ? 'a failure' : 'a crash'} at each step of ${request} leaves nothing (9.5)`, async () => {
        assert.equal(await askRaw('network down'), 'ok\n');
        let reached = 0;
        for (let step = 1; step < 20; step++) {
          await running.end();
          running = await startHelper(`network:${step}${ending}`);
          const answer = await askRaw(request);
          if (answer.endsWith('ok\n')) break;
          reached = step;
          if (ending !== '') {
            running = await startHelper();
            await askRaw('tap remove 00000002');
            assert.equal(await askRaw('network down'), 'ok\n');
          } else if (request.startsWith('tap')) {
            assert.deepEqual(
              (await ownLinks()).filter((name) => name !== 'bgr-bridge'),
              [],
            );
            assert.doesNotMatch(await askRaw('list'), /^tap /m);
            await askRaw('network down');
          }
          assert.equal(await picture(), untouched, `step ${step}`);
        }
        assert.ok(reached >= 2, `${reached} steps`);
        await running.end();
        running = await startHelper();
        await askRaw('tap remove 00000002');
      });
    }
  }
});
