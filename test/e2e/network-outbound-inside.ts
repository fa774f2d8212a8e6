// What guests of the private network open to the outside; needs a host of its own, started by network-private.test.ts.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlOne, holderInfo } from '../../src/drivers/network/control-client.ts';
import { createPrivateNetwork } from '../../src/drivers/network/private/driver.ts';
import { realHost } from '../../src/host/host.ts';
import { addressesOf } from '../../src/model/network.ts';
import { type FakeGuest, plugGuest, privatePlace } from '../support/guest/fake-guest.ts';

const forwarderPath = process.env['LAB_FORWARDER'] ?? '';
const work = process.env['LAB_WORK'] ?? '';
const runtimeDirectory = join(work, 'outbound');
const socketPath = join(runtimeDirectory, 'network.sock');
const LARGE_BYTES = 200_000_000;
const never = new AbortController().signal;
await mkdir(runtimeDirectory, { recursive: true, mode: 0o700 });

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

describe('what guests of the private network open', () => {
  const driver = createPrivateNetwork({ host: realHost, forwarderPath, runtimeDirectory });
  const vm = { shortId: '00000002', addresses: addressesOf(2), nat: true };
  const [source, sink] = [join(work, 'download'), join(runtimeDirectory, 'received')];
  let guest: FakeGuest;
  let hash = '';
  before(async () => {
    await driver.ensure(never);
    const attachment = await driver.attach(vm, never);
    guest = await plugGuest(privatePlace(forwarderPath, attachment), vm, attachment);
    const bytes = randomBytes(LARGE_BYTES);
    hash = sha256(bytes);
    await writeFile(source, bytes);
  });
  after(async () => {
    await guest.end();
    await driver.sweep([]);
    await rm(source);
    await rm(runtimeDirectory, { recursive: true });
  });
  const count = async (what: string): Promise<number> =>
    Number(new RegExp(` ${what}=(\\d+)`).exec((await controlOne(socketPath, 'info'))[0] ?? '')?.[1]);
  const connections = (): Promise<number> => count('tcp');
  /** The last bytes of a connection and its end are two events. */
  const untilNoneIsOpen = async (): Promise<void> => {
    const deadline = Date.now() + 30_000;
    while ((await connections()) !== 0 && Date.now() < deadline) await sleep(10);
    assert.equal(await connections(), 0);
  };
  const hearFrom = (address: string, port: number, timeoutS = 10): Promise<string> =>
    guest.sh(`socat -u TCP:${address}:${port},connect-timeout=${timeoutS} - 2>&1 || true`);

  test('a VM reaches the outside and the host’s own address, as the host (6.1)', async () => {
    assert.equal(await hearFrom('192.0.2.1', 7000), 'internet 192.0.2.10');
    assert.equal(await hearFrom('192.0.2.10', 7002), 'host-uplink');
  });

  test('names are found through the host’s resolver, by UDP and by TCP (6.1)', async () => {
    for (const way of ['+notcp', '+tcp']) {
      assert.equal(await guest.sh(`dig +short +time=2 +tries=1 ${way} @169.254.213.53 example.com`), '203.0.113.5', way);
    }
  });

  test('names of VMs lead to their address among guests, or nowhere, whatever the host’s resolver would say (6.1, 12.8)', async () => {
    await driver.nameGuest?.({ addresses: addressesOf(3) }, 'db');
    for (const way of ['+notcp', '+tcp']) {
      const dig = async (question: string): Promise<string> => {
        const said = await guest.sh(`dig +time=2 +tries=1 ${way} @169.254.213.53 ${question}`);
        const answer = /ANSWER SECTION:\n\S+\s+\d+\s+IN\s+\S+\s+(\S+)/.exec(said)?.[1] ?? 'nothing';
        return `${/status: (\w+)/.exec(said)?.[1]} ${answer}`;
      };
      for (const name of ['db.vm', 'DB.vm.', '3000.db.vm', 'a.b.c.Db.VM', 'db.vm ANY'])
        assert.equal(await dig(name), 'NOERROR 10.213.0.3', `${way} ${name}`);
      for (const name of ['db.vm AAAA', 'db.vm MX', 'vm NS']) assert.equal(await dig(name), 'NOERROR nothing', `${way} ${name}`);
      for (const name of ['web.vm', 'x.web.vm', 'd.vm', 'dbb.vm', '-x 127.213.0.3', '-x 10.213.0.9', '9.213.10.in-addr.arpa PTR'])
        assert.equal(await dig(name), 'NXDOMAIN nothing', `${way} ${name}`);
      assert.equal(await dig('-x 10.213.0.3'), 'NOERROR db.vm.', way);
      for (const name of ['example.com', 'vm.example.com', 'db.avm', '-x 10.21.3.3', 'db.vm.example'])
        assert.equal(await dig(name), 'NOERROR 203.0.113.5', `${way} ${name}`);
    }
    await driver.nameGuest?.({ addresses: addressesOf(3) }, undefined);
    assert.match(await guest.sh('dig +time=2 +tries=1 @169.254.213.53 db.vm'), /NXDOMAIN/);
  });

  test('200 MB go out and come in whole (6.1)', async () => {
    const received = join(work, '../upload');
    assert.equal(await guest.sh(`socat -u OPEN:${source} TCP:192.0.2.1:7005`), '');
    const deadline = Date.now() + 60_000;
    while ((await realHost.fileSize(received)).bytes < LARGE_BYTES && Date.now() < deadline) await sleep(20);
    assert.equal(await realHost.sha256File(received), hash);
    await guest.sh(`socat -u TCP:192.0.2.1:7006 CREATE:${sink}`);
    assert.equal(await realHost.sha256File(sink), hash);
  });

  test('a guest that closes its half first still hears the whole answer, and what it said arrives once (6.1)', async () => {
    assert.equal(await guest.sh(`socat -t60 OPEN:${source}!!- TCP:192.0.2.1:7007`), hash);
    const short = await guest.sh('for i in $(seq 50); do printf hello | socat -t60 - TCP:192.0.2.1:7007; done | sort -u');
    assert.equal(short, sha256('hello'));
  });

  test('a refusal is a refusal, a silence is no connection, and neither stays open here (6.1)', async () => {
    assert.match(await hearFrom('192.0.2.1', 7099), /Connection refused/);
    assert.match(await hearFrom('192.0.2.1', 7008, 1), /timed out/);
    assert.match(await hearFrom('192.0.2.77', 7000), /No route to host/);
    await untilNoneIsOpen();
  });

  test('what the routing table keeps on this host is refused at once, by TCP, UDP and ping, exact address or network (12.8)', async () => {
    for (const address of ['198.51.100.7', '10.99.0.1', '10.99.0.2', '10.99.0.254', '127.0.0.1', '127.1.2.3', '192.0.2.255', '0.0.0.0']) {
      assert.doesNotMatch(await hearFrom(address, 7001, 2), /host-loopback/, address);
      assert.doesNotMatch(await guest.sh(`echo datagram | socat -t1 - UDP:${address}:7001,broadcast 2>&1 || true`), /^datagram/, address);
    }
    const ping = join(import.meta.dirname, '../support/guest/ping-guest.py');
    for (const address of ['10.99.0.2', '198.51.100.7']) assert.equal(await guest.sh(`python3 ${ping} ${address}`), 'failed', address);
    assert.match(await hearFrom('10.99.0.2', 7001), /No route to host|prohibited|Permission/, 'said and not kept silent about');
    assert.equal(await hearFrom('192.0.2.10', 7002), 'host-uplink', 'its address in the network stays reachable');
  });

  test('a guest whose calls meet silence leaves room for the calls of others, and after a while for its own (12.8)', async () => {
    const neighbour = { shortId: '00000003', addresses: addressesOf(3), nat: true };
    const attachment = await driver.attach(neighbour, never);
    const other = await plugGuest(privatePlace(forwarderPath, attachment), neighbour, attachment);
    const flood = `python3 -c '
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
calls = [socket.socket() for _ in range(3900)]
for call in calls:
    call.setblocking(False)
    call.connect_ex(("192.0.2.1", 7008))
time.sleep(8)'`;
    const flooded = guest.sh(flood);
    // Once it stays the same, the guest has as many as it gets.
    let [now, earlier] = [await count('attempts'), -1];
    for (let i = 0; i < 20 && (now < 200 || now !== earlier); i++) [earlier, now] = [now, (await sleep(300), await count('attempts'))];
    assert.equal(await other.sh('socat -u TCP:192.0.2.1:7000,connect-timeout=3 - 2>&1'), 'internet 192.0.2.10', `beside ${now} calls`);
    assert.equal(await other.sh('echo datagram | socat -t1 - UDP:192.0.2.1:7000'), 'datagram');
    await flooded;
    while ((await count('attempts')) > 0) await sleep(100);
    assert.equal(await hearFrom('192.0.2.1', 7000), 'internet 192.0.2.10');
    await other.end();
    await driver.detach(neighbour);
  });

  test('a hundred connections at once each get their own answer (6.1)', async () => {
    // By one process: a few hundred more at once are too many for some machines.
    const say = `python3 -c '
import socket
calls = [socket.create_connection(("192.0.2.1", 7007)) for _ in range(100)]
for i, call in enumerate(calls):
    call.sendall(b"number %d" % (i + 1))
for call in calls:
    call.shutdown(socket.SHUT_WR)
for call in calls:
    print(call.makefile().read().strip())'`;
    const expected = Array.from({ length: 100 }, (_, i) => sha256(`number ${i + 1}`));
    assert.deepEqual((await guest.sh(say)).split('\n').toSorted(), expected.toSorted());
  });

  test('datagrams come back, also those that are larger than a packet; a closed port is told (6.1)', async () => {
    await guest.sh(`head -c 30000 ${source} > ${sink}.part`);
    await guest.sh(`socat -t1 -b 65000 OPEN:${sink}.part!!CREATE:${sink}.back UDP:192.0.2.1:7000`);
    assert.equal(sha256(await readFile(`${sink}.back`)), sha256(await readFile(`${sink}.part`)));
    assert.match(await guest.sh('echo x | socat -t1 - UDP:192.0.2.1:7098 2>&1 || true'), /Connection refused/);
  });

  test('a ping is answered by the one it was meant for (6.1)', async () => {
    const ping = join(import.meta.dirname, '../support/guest/ping-guest.py');
    assert.equal(await guest.sh(`python3 ${ping} 192.0.2.1`), '192.0.2.1 are you there?');
  });

  test('a VM that is forgotten has no connection left (6.1)', async () => {
    const asked = guest.sh('socat - TCP:192.0.2.1:7007 < /dev/zero > /dev/null');
    while ((await connections()) === 0) await sleep(20);
    await controlOne(socketPath, `forget ${vm.addresses.guestAddress}`);
    assert.equal(await asked, 'failed');
    await untilNoneIsOpen();
  });

  test('packets that no honest guest sends harm nobody (6.1)', async () => {
    const earlier = await holderInfo(socketPath);
    await guest.sh(`python3 ${join(import.meta.dirname, '../support/guest/rude-guest.py')} eth0 ${vm.addresses.guestAddress}`);
    assert.equal(await hearFrom('192.0.2.1', 7000), 'internet 192.0.2.10');
    assert.deepEqual(await holderInfo(socketPath), earlier);
  });
});
