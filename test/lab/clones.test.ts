// VMs of a real Firecracker that do not boot: clones of a template, and spares. Says how long each way took.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TemplateView } from '../../src/api/template-schemas.ts';
import { assertDifferent, rowsOf } from '../support/guest/identity.ts';
import { daemonStatus, eventually, guest, useSandbox } from '../support/machine/e2e.ts';
import { type Drivers, LONG, environmentOf, pictureOfHost, useInstalledHelper, withoutFirecracker } from '../support/machine/lab-host.ts';
import type { Sandbox } from '../support/machine/sandbox.ts';

/** Disks that a VMM opens as files, and disks that are only there while their VM runs. */
const COMBINATIONS: readonly Drivers[] = [
  { hypervisor: 'firecracker', network: 'private', storage: 'copy' },
  { hypervisor: 'firecracker', network: 'bridge', storage: 'dm-snapshot' },
];
const JAILED: Drivers = { hypervisor: 'firecracker-jailed', network: 'private', storage: 'copy' };
const TEMPLATES = { BANGER_TEMPLATES_ENABLED: 'true' };
const LIMIT = { timeout: 1_200_000 };
const FILL_MS = 60_000;

const SKIP = { skip: withoutFirecracker };
useInstalledHelper();
for (const drivers of COMBINATIONS) {
  describe(`clones with ${Object.values(drivers).join(', ')}`, SKIP, () => cloned(drivers));
}
describe('templates of jailed VMs', SKIP, booted);

type Way = 'boot' | 'memory of a template' | 'spare VM';

/** @returns milliseconds from the creation to the end of the first command */
async function create(sandbox: Sandbox, name: string, way: Way, ...flags: string[]): Promise<number> {
  const begin = performance.now();
  const { stderr, status } = await sandbox.banger(['vm', 'create', name, '--progress', 'plain', ...flags], LONG);
  assert.equal(status, 0, stderr);
  assert.equal(await guest(sandbox, name).sh('hostname'), name);
  const took = Math.round(performance.now() - begin);
  assert.match(stderr, new RegExp(`${way}\\b`));
  assert.doesNotMatch(stderr, /it runs, but|instead/);
  return took;
}

async function templatesOf(sandbox: Sandbox): Promise<TemplateView[]> {
  return JSON.parse(await sandbox.must(['template', 'list', '-o', 'json'])) as TemplateView[];
}

/** Not a diagnostic, which is shown when all is over. */
function tell(drivers: Drivers, what: string, times: readonly number[]): void {
  console.log(`${Object.values(drivers).join(', ')}: ${what}, create to the first command: ${times.join(', ')} ms`);
}

function cloned(drivers: Drivers): void {
  let untouched = '';
  before(async () => {
    untouched = await pictureOfHost();
  });
  const sandbox = useSandbox({ env: { ...environmentOf(drivers), ...TEMPLATES, BANGER_TEMPLATES_POOL: '0' }, settleMs: 30_000 });

  test('clones of a template are different machines, which outlive it (4.1, 10.1, 10.3)', LIMIT, async () => {
    tell(drivers, 'boot', [await create(sandbox(), 'cold-1', 'boot', '--cold'), await create(sandbox(), 'cold-2', 'boot', '--cold')]);
    await sandbox().must(['vm', 'delete', '-f', 'cold-1', 'cold-2']);
    await sandbox().must(['image', 'warm', 'default'], LONG);
    const [template, ...more] = await templatesOf(sandbox());
    assert.ok(template !== undefined && more.length === 0);
    const [one, two] = [guest(sandbox(), 'one'), guest(sandbox(), 'two')];
    const times = [await create(sandbox(), 'one', 'memory of a template'), await create(sandbox(), 'two', 'memory of a template')];
    tell(drivers, 'clone', times);
    assertDifferent(await rowsOf(one), await rowsOf(two), template.id);
    assert.match(await one.sh(`ping -c 1 -W 10 ${(await two.show()).guestAddress}`), / 1 received/);
    await sandbox().must(['template', 'delete', '--all']);
    const machineId = await one.sh('echo mine >/root/mine; sync; cat /etc/machine-id');
    await sandbox().must(['vm', 'restart', 'one'], LONG);
    assert.equal(await one.sh('cat /root/mine /etc/machine-id; hostname'), `mine\n${machineId}\none`);
    await sandbox().must(['vm', 'delete', '-f', 'one', 'two']);
  });

  test('spares become VMs of their own (4.1, 10.2, 10.3)', LIMIT, async () => {
    await sandbox().must(['daemon', 'stop', '--yes']);
    await sandbox().must(['image', 'warm', 'default'], { ...LONG, env: { BANGER_TEMPLATES_POOL: '1' } });
    const [template] = await templatesOf(sandbox());
    const ready = async () => (await daemonStatus(sandbox())).spares.ready;
    const times: number[] = [];
    for (const name of ['one', 'two', 'three']) {
      await eventually('a spare', ready, (count) => count === 1, FILL_MS);
      times.push(await create(sandbox(), name, 'spare VM'));
    }
    tell(drivers, 'spare', times);
    assertDifferent(await rowsOf(guest(sandbox(), 'one')), await rowsOf(guest(sandbox(), 'two')), template?.id ?? '');
    await sandbox().must(['vm', 'delete', '-f', '--all']);
    await sandbox().must(['daemon', 'stop', '--yes']);
    await sandbox().must(['template', 'delete', '--all']);
  });

  test('the host is as it was before (5.2, 6.2, 9.5)', async () => {
    await sandbox().close();
    await eventually('an untouched host', pictureOfHost, (now) => now === untouched, 30_000);
  });
}

function booted(): void {
  const sandbox = useSandbox({ env: { ...environmentOf(JAILED), ...TEMPLATES }, settleMs: 30_000 });

  test('a jailed VM has no template, and boots (10.1)', LIMIT, async () => {
    const { status, stderr } = await sandbox().banger(['image', 'warm', 'default'], LONG);
    assert.notEqual(status, 0);
    assert.match(stderr, /firecracker-jailed/);
    tell(JAILED, 'boot', [await create(sandbox(), 'web', 'boot')]);
    assert.deepEqual(await templatesOf(sandbox()), []);
    await sandbox().must(['vm', 'delete', '-f', 'web']);
  });
}
