// What VMs reach and what reaches them, on a host whose outside is a fake: no packet leaves the machine.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeAuthority } from '../support/outside/authority.ts';
import { createVm, daemonStatus, eventually, guest, hear, runInSandbox, useSandbox } from '../support/machine/e2e.ts';
import { OUTSIDE_ADDRESS, OUTSIDE_BODY, OUTSIDE_PROXY, type Outside, makeOutside } from '../support/outside/outside.ts';
import type { Sandbox } from '../support/machine/sandbox.ts';

const needsRoot = { skip: process.getuid?.() === 0 ? false : 'only root can make a host with a fake outside' };
const getOutside = (limitSeconds: number): string => `curl --silent --max-time ${limitSeconds} http://${OUTSIDE_ADDRESS}/`;
/** A busy host may be slow to let a guest out. */
const GET_OUTSIDE = getOutside(60);
/** Where nothing answers, this is how long it takes to see that. */
const TRY_OUTSIDE = getOutside(5);
const SERVE = 'setsid systemd-socket-activate --listen=0.0.0.0:PORT --accept --inetd hostname >/dev/null 2>&1 &';
const HOST_SECRET = 'on the loopback of the host';

/** What the host listens on: TCP on 127.0.0.1 alone, with something to say to everybody who gets there. */
const SECRET_SCRIPT = `require('node:net')
  .createServer((socket) => socket.end(${JSON.stringify(HOST_SECRET)}))
  .listen(7001, '127.0.0.1', () => console.log('up'))`;

/** A company: an authority that only its hosts know, and a mirror that it vouches for. */
const company = mkdtempSync(join(tmpdir(), 'bgr-ca-'));
const authority = makeAuthority(company);
const MIRROR = 'mirror.company.example';
chmodSync(company, 0o755);
after(() => rmSync(company, { recursive: true }));

/** A host of its own for the sandbox of a suite. To be called after useSandbox: hooks run in order, and the host goes last. */
function useOutside(): () => Promise<Outside> {
  let outside: Outside | undefined;
  let secret: ChildProcess | undefined;
  after(async () => {
    if (secret?.kill('SIGKILL') === true) await once(secret, 'exit');
    await outside?.close();
  });
  return async () => {
    outside = await makeOutside(authority.server([`DNS:${MIRROR}`]));
    const [program = '', ...prefix] = outside.commandPrefix;
    secret = spawn(program, [...prefix, process.execPath, '-e', SECRET_SCRIPT], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (secret.stdout !== null) await once(secret.stdout, 'data');
    return outside;
  };
}

/** @returns addresses on which somebody listens for a VM */
async function listeners(sandbox: Sandbox): Promise<string[]> {
  const table = await runInSandbox(sandbox, ['ss', '-Hltn']);
  return [...table.matchAll(/\b(127\.213\.\d+\.\d+:\d+)\b/g)].map(([, address = '']) => address).toSorted();
}

/** Opens a port in the guest, expects it on the host and to vanish there with its server. */
async function followPort(sandbox: Sandbox, name: string): Promise<void> {
  const vm = guest(sandbox, name);
  const { address } = await vm.show();
  await vm.sh(SERVE.replace('PORT', '8000'));
  const begin = performance.now();
  await eventually(
    'the forward',
    () => hear(sandbox, address, 8000),
    (heard) => heard === name,
  );
  console.log(`a port appeared after ${Math.round(performance.now() - begin)} ms`);
  await vm.sh('pkill -f ^systemd-socket-activate');
  await eventually(
    'the end of the forward',
    () => listeners(sandbox),
    (seen) => !seen.includes(`${address}:8000`),
  );
}

/** Each address by which a guest could try to reach the loopback of its host. */
async function tryLoopback(sandbox: Sandbox, name: string, addresses: readonly string[]): Promise<void> {
  assert.equal(await hear(sandbox, '127.0.0.1', 7001), HOST_SECRET, 'the host itself reaches it');
  const vm = guest(sandbox, name);
  const attempts = addresses.map((address) => vm.sh(`timeout 3 bash -c 'cat <>/dev/tcp/${address}/7001' 2>/dev/null || true`));
  assert.deepEqual(
    await Promise.all(attempts),
    addresses.map(() => ''),
    addresses.join(' '),
  );
}

describe('the private network', needsRoot, () => {
  const env = { BANGER_TRUST_CA_FILE: authority.certificatePath, BANGER_TRUST_HTTPS_PROXY: OUTSIDE_PROXY };
  let inHost: readonly string[] = [];
  const sandbox = useSandbox(async () => {
    inHost = (await makeHost()).commandPrefix;
    return { commandPrefix: inHost, env };
  });
  const makeHost = useOutside();

  before(async () => {
    await Promise.all([createVm(sandbox(), 'left', '--host-ca', '--host-proxy'), createVm(sandbox(), 'right')]);
    await createVm(sandbox(), 'closed', '--no-nat');
    assert.equal((await daemonStatus(sandbox())).drivers.network.name, 'private');
  });

  test('a VM reaches the outside (6.1)', async () => {
    assert.equal(`${await guest(sandbox(), 'left').sh(GET_OUTSIDE)}\n`, OUTSIDE_BODY);
  });

  test('with --host-ca it trusts the mirror of a company, and with --host-proxy it gets there by name (8.3)', async () => {
    const direct = `curl --silent --show-error --noproxy '*' --resolve ${MIRROR}:443:${OUTSIDE_ADDRESS} https://${MIRROR}/`;
    const [left, right] = [guest(sandbox(), 'left'), guest(sandbox(), 'right')];
    assert.equal(`${await left.sh(direct)}\n`, OUTSIDE_BODY);
    // Nobody but the proxy knows this name.
    assert.equal(`${await left.sh(`curl --silent --show-error https://${MIRROR}/`)}\n`, OUTSIDE_BODY);
    assert.match(await right.sh(`${direct} || echo "curl $?"`), /certificate problem[\s\S]*curl 60$|^curl 60$/);
    assert.equal(await left.sh('systemd-run --quiet --pipe --wait printenv https_proxy'), OUTSIDE_PROXY);
    // From here the next update-ca-certificates of the guest takes it; under emulation that takes minutes.
    assert.equal(`${await left.sh('cat /usr/local/share/ca-certificates/banger-host-1.crt')}\n`, authority.certificate);
  });

  test('with --no-nat it does not, whatever route it sets (6.1)', async () => {
    const script = `ip route replace default via 10.213.0.1; ${TRY_OUTSIDE} || echo "curl $?"`;
    assert.match(await guest(sandbox(), 'closed').sh(script), /^curl (7|28)$/);
  });

  test('a running VM is cut off and let out again, also one that was started without a way out (3.7, 6.1)', async () => {
    for (const name of ['left', 'closed']) {
      await sandbox().must(['vm', 'set', name, '--nat']);
      assert.equal(`${await guest(sandbox(), name).sh(GET_OUTSIDE)}\n`, OUTSIDE_BODY, name);
      await sandbox().must(['vm', 'set', name, '--no-nat']);
      assert.match(await guest(sandbox(), name).sh(`${TRY_OUTSIDE} || echo "curl $?"`), /^curl (7|28)$/, name);
    }
    await sandbox().must(['vm', 'set', 'left', '--nat']);
    assert.equal(`${await guest(sandbox(), 'left').sh(GET_OUTSIDE)}\n`, OUTSIDE_BODY);
  });

  test('VMs reach each other by address, with and without NAT (6.1)', async () => {
    for (const [name, peer] of [
      ['left', 'right'],
      ['right', 'closed'],
      ['closed', 'left'],
    ] as const) {
      const { guestAddress } = await guest(sandbox(), peer).show();
      await guest(sandbox(), peer).sh(SERVE.replace('PORT', '9000'));
      const script = `for n in 1 2 3 4 5; do bash -c 'cat <>/dev/tcp/${guestAddress}/9000' 2>/dev/null && break; sleep 1; done`;
      assert.equal(await guest(sandbox(), name).sh(script), peer);
    }
  });

  test('in a guest the name of another VM resolves to that VM’s address there, and an unknown name does not exist (6.1)', async () => {
    const { guestAddress } = await guest(sandbox(), 'right').show();
    const resolve = (name: string): Promise<string> => guest(sandbox(), 'left').sh(`getent ahostsv4 ${name} || echo nobody`);
    for (const name of ['right.vm', 'RIGHT.vm', '3000.right.vm']) assert.match(await resolve(name), new RegExp(`^${guestAddress} `), name);
    assert.equal(await resolve('nobody.vm'), 'nobody');
  });

  test('another user of the host does not reach a port of a guest, its owner and root do (12.8)', async () => {
    const { address } = await guest(sandbox(), 'left').show();
    await guest(sandbox(), 'left').sh(SERVE.replace('PORT', '8100'));
    await eventually(
      'the forward',
      () => hear(sandbox(), address, 8100),
      (heard) => heard === 'left',
    );
    const [program = '', ...prefix] = inHost;
    const knock = (uid: number): string => {
      const as = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
      return spawnSync(program, [...prefix, ...as, 'timeout', '5', 'bash', '-c', `cat <>/dev/tcp/${address}/8100`], { encoding: 'utf8' })
        .stdout;
    };
    assert.equal(knock(0).trim(), 'left');
    assert.equal(knock(54_321), '');
  });

  test('no address leads a guest to the loopback of its host (6.1)', async () => {
    const { address } = await guest(sandbox(), 'left').show();
    const addresses = ['127.0.0.1', '10.213.0.1', '169.254.213.1', '169.254.213.2', '169.254.213.53', '192.0.2.2', address];
    await tryLoopback(sandbox(), 'left', addresses);
  });

  test('a port of the guest appears on its own address of the host, and vanishes with its server (6.1)', async () => {
    await followPort(sandbox(), 'left');
  });

  test('services on one port of two VMs do not disturb each other (6.1)', async () => {
    for (const name of ['left', 'right']) {
      const { address } = await guest(sandbox(), name).show();
      await guest(sandbox(), name).sh(SERVE.replace('PORT', '8080'));
      await eventually(
        name,
        () => hear(sandbox(), address, 8080),
        (heard) => heard === name,
      );
    }
  });

  test('with a VM its listeners go (3.5, 6.1)', async () => {
    const { address } = await guest(sandbox(), 'right').show();
    await sandbox().must(['vm', 'delete', 'right']);
    assert.deepEqual(
      (await listeners(sandbox())).filter((seen) => seen.startsWith(`${address}:`)),
      [],
    );
    await sandbox().must(['vm', 'delete', '--all', '--force']);
    assert.deepEqual(await listeners(sandbox()), []);
  });
});

const needsQemu = { skip: (process.env['BANGER_HYPERVISOR'] ?? 'qemu') === 'qemu' ? needsRoot.skip : 'only QEMU has a user network' };

describe("the fallback to QEMU's user network", needsQemu, () => {
  const sandbox = useSandbox(async () => ({ commandPrefix: (await makeHost()).commandPrefix, config: '[network]\nmode = "user"\n' }));
  const makeHost = useOutside();

  // Here, not in the first test: all that follow would only say that they miss it.
  before(() => createVm(sandbox(), 'open'));

  test('exec, ssh and the way out work (6.1)', async () => {
    const vm = guest(sandbox(), 'open');
    assert.equal((await daemonStatus(sandbox())).drivers.network.name, 'user');
    assert.equal(await vm.sh('hostname'), 'open');
    assert.equal(await sandbox().must(['vm', 'ssh', 'open', '--', 'hostname']), 'open\n');
    assert.equal(`${await vm.sh(GET_OUTSIDE)}\n`, OUTSIDE_BODY);
  });

  test("a running VM's NAT cannot be taken away in this network, and no output claims it (6.1)", async () => {
    const refused = await sandbox().banger(['vm', 'set', 'open', '--no-nat']);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /only when a VM starts/);
    const shown = JSON.parse(await sandbox().must(['vm', 'show', 'open', '-o', 'json'])) as { spec: { nat: boolean } };
    assert.equal(shown.spec.nat, true);
    assert.equal(`${await guest(sandbox(), 'open').sh(GET_OUTSIDE)}\n`, OUTSIDE_BODY);
  });

  test('a port of the guest appears on its own address of the host, and vanishes with its server (6.1)', async () => {
    await followPort(sandbox(), 'open');
  });

  test('a daemon that adopts the VM finds its ports open, and follows later ones (6.1, 10.7)', async () => {
    const vm = guest(sandbox(), 'open');
    const { address } = await vm.show();
    await vm.sh(SERVE.replace('PORT', '9000'));
    const isServed = (heard: string): boolean => heard === 'open';
    await eventually('the forward', () => hear(sandbox(), address, 9000), isServed);
    await sandbox().must(['daemon', 'restart', '--yes']);
    assert.equal(await hear(sandbox(), address, 9000), 'open');
    await followPort(sandbox(), 'open');
    assert.ok(!(await listeners(sandbox())).includes(`${address}:9000`), 'what closed with the same server is closed');
  });

  test("the address that the host's resolver returns for another VM leads nowhere, and not to the guest itself (6.3)", async () => {
    const vm = guest(sandbox(), 'open');
    await vm.sh(SERVE.replace('PORT', '9000'));
    const reach = (address: string) => vm.sh(`timeout 3 bash -c 'cat <>/dev/tcp/${address}/9000' 2>&1 || true`);
    assert.match(await reach('127.213.0.9'), /No route to host/);
    await vm.sh('pkill -f ^systemd-socket-activate');
  });

  test('with --no-nat neither the outside nor the host is reached, and ports work all the same (6.1)', async () => {
    const vm = await createVm(sandbox(), 'closed', '--no-nat');
    assert.match(await vm.sh(`ip route replace default via 10.0.2.2; ${TRY_OUTSIDE} || echo "curl $?"`), /^curl (7|28)$/);
    await tryLoopback(sandbox(), 'closed', ['10.0.2.2', '10.0.2.3', '192.0.2.2']);
    await followPort(sandbox(), 'closed');
  });

  test('with the VMs their listeners go (3.5, 6.1)', async () => {
    await sandbox().must(['vm', 'delete', '--all', '--force']);
    assert.deepEqual(await listeners(sandbox()), []);
  });
});
