// Who runs banger: an ordinary user on a host that gives everything, one on a host that does not, and root.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { DoctorReport } from '../../src/api/schemas.ts';
import { createVm, daemonStatus, eventually, hear, useSandbox } from '../support/machine/e2e.ts';
import { processesOf } from '../support/machine/leak-check.ts';
import type { Sandbox } from '../support/machine/sandbox.ts';

const isRoot = process.getuid?.() === 0;
const needsRoot = { skip: isRoot ? false : 'only root can become another user' };

/** Everything that is asked of banger for each kind of user. */
async function livesWell(sandbox: Sandbox): Promise<void> {
  const vm = await createVm(sandbox, 'mine');
  assert.equal(await vm.sh('hostname'), 'mine');
  assert.equal(await sandbox.must(['vm', 'ssh', 'mine', '--', 'id -un']), 'root\n');
  const { address } = await vm.show();
  await vm.sh('setsid systemd-socket-activate --listen=0.0.0.0:8000 --accept --inetd hostname >/dev/null 2>&1 &');
  await eventually(
    'the forward',
    () => hear(sandbox, address, 8000),
    (heard) => heard === 'mine',
  );
  await sandbox.must(['vm', 'restart', 'mine']);
  assert.equal(await vm.sh('hostname'), 'mine');
}

/** @returns what root owns of all that banger made */
function ownedByRoot(sandbox: Sandbox): string[] {
  const files = ['state', 'run', 'cache', 'home'].flatMap((name) =>
    readdirSync(join(sandbox.directory, name), { recursive: true, withFileTypes: true })
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.uid === 0),
  );
  const processes = processesOf(sandbox.scope).filter(({ pid }) =>
    /^Uid:\t0\t|^Uid:\t\d+\t0\t/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
  );
  return [...files, ...processes.map(({ command }) => command)];
}

async function doctor(sandbox: Sandbox): Promise<DoctorReport> {
  return JSON.parse((await sandbox.banger(['doctor', '-o', 'json'])).stdout) as DoctorReport;
}

describe('an ordinary user who may open /dev/net/tun, with a bundle of root', needsRoot, () => {
  const sandbox = useSandbox();

  test('has VMs in a private network, and nothing of it is root’s (4.2, 6.1, 7.4)', async () => {
    await livesWell(sandbox());
    assert.deepEqual(ownedByRoot(sandbox()), []);
    const { drivers, bundleDirectory } = await daemonStatus(sandbox());
    assert.equal(drivers.network.name, 'private');
    assert.equal(statSync(bundleDirectory ?? '').uid, 0);
  });

  test('sees no failure in doctor (9.3)', async () => {
    const { findings } = await doctor(sandbox());
    assert.deepEqual(
      findings.filter(({ level }) => level === 'fail'),
      [],
    );
  });
});

describe('an ordinary user without /dev/net/tun', needsRoot, () => {
  const sandbox = useSandbox({ withoutTun: true });

  test('gets the user network by itself, and VMs that work (6.1)', async () => {
    await livesWell(sandbox());
    assert.deepEqual(ownedByRoot(sandbox()), []);
    const { drivers } = await daemonStatus(sandbox());
    assert.equal(drivers.network.name, 'user');
    assert.match(drivers.network.reason, /private is not used: .*\/dev\/net\/tun/);
  });

  test('sees in doctor what is missing, and the remedy (9.3)', async () => {
    const { findings, drivers } = await doctor(sandbox());
    assert.ok(
      findings.some(({ name, reason }) => name === 'network.user' && /VMs do not see each other/.test(reason)),
      JSON.stringify(findings),
    );
    const lost = drivers.find(({ name }) => name === 'private');
    assert.deepEqual([lost?.usable, lost?.chosen], [false, false]);
    assert.match(lost?.reason ?? '', /\/dev\/net\/tun/);
    assert.notEqual(lost?.remedy, null);
  });

  test('is refused when the configuration insists on the private network (9.2)', async () => {
    await sandbox().must(['daemon', 'stop']);
    const refused = await sandbox().banger(['vm', 'create', '--name', 'other'], { env: { BANGER_NETWORK_MODE: 'private' } });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /no VM can be started: .*\/dev\/net\/tun/);
  });
});

describe('root', { skip: isRoot ? false : 'needs root' }, () => {
  const sandbox = useSandbox({ asRoot: true });

  test('has VMs as well (4.2, 6.1)', async () => {
    await livesWell(sandbox());
    assert.equal((await daemonStatus(sandbox())).drivers.network.name, 'private');
  });
});
