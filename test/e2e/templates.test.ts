// Real machines that are made of a template: each is another one, in everything that could tell them apart.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TemplateView } from '../../src/api/template-schemas.ts';
import { guest, useSandbox } from '../support/machine/e2e.ts';
import { assertDifferent, rowsOf } from '../support/guest/identity.ts';

const sandbox = useSandbox({ env: { BANGER_TEMPLATES_ENABLED: 'true', BANGER_TEMPLATES_POOL: '0' } });

const templates = async (): Promise<TemplateView[]> =>
  JSON.parse(await sandbox().must(['template', 'list', '-o', 'json'])) as TemplateView[];
/** It boots, and waits for all of its services. */
const warm = () => sandbox().must(['image', 'warm', 'default'], { timeoutMs: 400_000 });
const directoryOf = ({ id }: { id: string }): string => join(sandbox().env['BANGER_STATE_DIR'] ?? '', 'vms', id);
/** Whoever writes to a file changes it. */
const writtenAt = (path: string): bigint => statSync(path, { bigint: true }).mtimeNs;

test('clones of one template are different machines in every row, and reach each other (10.1, 10.3)', async (t) => {
  if (process.env['BANGER_HYPERVISOR'] === 'firecracker-jailed') return t.skip('a jailed VMM has no snapshots');
  await warm();
  const [template, ...more] = await templates();
  assert.ok(template !== undefined && more.length === 0);
  const disks = ['root.overlay', 'snapshot/memory', 'snapshot/state'].map((name) => join(directoryOf(template), name));
  const before = disks.map(writtenAt);
  for (const name of ['one', 'two']) {
    const { stderr } = await sandbox().banger(['vm', 'create', name, '--progress', 'plain']);
    assert.match(stderr, /memory of a template/);
    assert.doesNotMatch(stderr, /it runs, but|instead/);
  }
  const [one, two] = [await rowsOf(guest(sandbox(), 'one')), await rowsOf(guest(sandbox(), 'two'))];
  assertDifferent(one, two, template.id);
  assert.match(one['host name'] ?? '', /^one\none\n1$/);
  for (const name of ['one', 'two']) {
    const { id, guestAddress } = await guest(sandbox(), name).show();
    const rows = name === 'one' ? one : two;
    assert.equal(rows['machine id'], id);
    for (const row of ['addresses', 'own route']) assert.ok(rows[row]?.includes(guestAddress), row);
    const journal = `_BOOT_ID=${(rows['boot id'] ?? '').replaceAll('-', '')}\n_MACHINE_ID=${id}`;
    assert.equal(rows['ids of new lines of the journal'], journal);
    const offMs = Math.abs(Number(await guest(sandbox(), name).sh('date +%s%3N')) - Date.now());
    assert.ok(offMs < 5000, `the clock of ${name} is off by ${offMs} ms`);
    assert.equal(await sandbox().must(['vm', 'ssh', name, '--', 'hostname']), `${name}\n`);
  }
  const other = (await guest(sandbox(), 'two').show()).guestAddress;
  assert.match(await guest(sandbox(), 'one').sh(`ping -c 1 -W 10 ${other}`), / 1 received/);
  assert.match(await guest(sandbox(), 'one').sh('systemctl is-system-running; dmesg | grep -ci "ext4-fs error" || true'), /^running\n0$/);
  assert.deepEqual(disks.map(writtenAt), before, 'the template is as it was');
});

test('with a template of another key a VM boots, and the template goes; clones outlive it, and start again from their own disks (10.1, 10.5)', async (t) => {
  const [template] = await templates();
  if (template === undefined) return t.skip('there is no template');
  const path = join(directoryOf(template), 'snapshot/key.json');
  const key = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...key, kernel: 'another' }));
  const { stderr, status } = await sandbox().banger(['vm', 'create', 'web', '--progress', 'plain'], { timeoutMs: 240_000 });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /could not be made from a template, and boots instead: .*kernel changed/);
  assert.equal(await guest(sandbox(), 'web').sh('hostname'), 'web');
  assert.ok((await templates()).every(({ id }) => id !== template.id));
  const one = guest(sandbox(), 'one');
  const machineId = await one.sh('echo mine >/root/mine; sync; cat /etc/machine-id');
  await sandbox().must(['vm', 'suspend', 'one']);
  await sandbox().must(['vm', 'resume', 'one']);
  await sandbox().must(['vm', 'restart', 'one'], { timeoutMs: 240_000 });
  assert.equal(await one.sh('cat /root/mine /etc/machine-id; hostname'), `mine\n${machineId}\none`);
});

test('a daemon that ends leaves nothing of the template that it was making (9.5, 10.1)', async () => {
  await sandbox().must(['vm', 'delete', '-f', '--all']);
  await sandbox().must(['daemon', 'stop', '--yes']);
  await sandbox().must(['template', 'delete', '--all']);
});
