// Labels, from the command line to the disk and back.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { openDatabase } from '../../src/store/database.ts';
import { createVmStore } from '../../src/store/vms.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, startDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';

test('labels are set, shown, filtered by and removed, on a running VM as well (3.1)', async (t) => {
  const { api, world } = await daemonFor(t);
  const env = { BANGER_RUNTIME_DIR: world.directories.runtimeDirectory, BANGER_NO_AUTOSTART: '1' };
  const cli = async (...argv: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await runInProcess(env, argv);
    assert.equal(exitCode, 0, `${argv.join(' ')}: ${stderr}`);
    return stdout;
  };
  await cli('create', 'web', '-l', 'project=shop', '--label', 'note=a=b c', '-l', 'flag');
  await cli('create', 'db', '--no-start', '-l', 'project=shop', '-l', 'tier=test');
  await cli('create', 'other', '--no-start');
  assert.deepEqual((await api.showVm('web')).labels, { project: 'shop', note: 'a=b c', flag: '' });
  assert.match(await cli('show', 'web'), /^labels: +project=shop note=a=b c flag=$/m);
  assert.match(await cli('ls', '-o', 'wide'), /LABELS/);
  assert.equal(await cli('ls', '--format', '{{.name}} {{index .labels "project"}}'), 'web shop\ndb shop\nother \n');
  const chosen: [string[], string][] = [
    [['-l', 'project=shop'], 'web\ndb\n'],
    [['-l', 'project=shop', '-l', 'tier'], 'db\n'],
    [['--filter', 'label=note=a=b c'], 'web\n'],
    [['--filter', 'label=project', '--filter', 'state=running'], 'web\n'],
    [['-l', 'constructor'], ''],
  ];
  for (const [argv, names] of chosen) assert.equal(await cli('ls', '-q', ...argv), names, argv.join(' '));
  assert.equal(await cli('stop', '--filter', 'label=flag'), 'web\n');
  await cli('start', 'web');
  await cli('set', 'web', '--label', 'project=blog', '--label', 'new=1', '--label-remove', 'flag', '--label-remove', 'absent');
  assert.deepEqual((await api.showVm('web')).labels, { project: 'blog', note: 'a=b c', new: '1' });
});

test('bad labels are refused by the CLI and by the daemon, and nothing changes (3.2)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web', { start: false, labels: { a: '1' } });
  const env = { BANGER_RUNTIME_DIR: world.directories.runtimeDirectory, BANGER_NO_AUTOSTART: '1' };
  const bad = ['=x', 'ä=1', '-a=1', 'a b=1', 'a\n=1', 'a=\u001b[31m', 'a=1\n2', `a=${'x'.repeat(256)}`, `${'k'.repeat(64)}=1`, 'a-=1', ''];
  for (const label of bad) {
    for (const argv of [
      ['create', 'shop', `--label=${label}`],
      ['set', 'web', `--label=${label}`],
    ]) {
      const { exitCode, stderr } = await runInProcess(env, argv);
      assert.equal(exitCode, 2, label);
      assert.match(stderr, /^banger: --label: .* is not allowed\n {2}try: give /, label);
    }
    const equals = label.indexOf('=');
    const labels = { [label.slice(0, Math.max(equals, 0))]: label.slice(equals + 1) };
    await assert.rejects(api.createVm({ labels }, false), { code: 'INVALID_INPUT' }, label);
    await assert.rejects(api.beginVm('web', 'set', { labels }), { code: 'INVALID_INPUT' }, label);
  }
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`k${at}`, 'v']));
  await assert.rejects(api.createVm({ labels: many }, false), /65 labels are more than the 64/);
  await assert.rejects(api.beginVm('web', 'set', { labels: many }), /66 labels are more/);
  assert.match((await runInProcess(env, ['set', 'web', '-l', 'a=2', '--label-remove', 'a'])).stderr, /both set and removed/);
  assert.deepEqual(
    (await api.listVms()).map(({ name, labels }) => ({ name, labels })),
    [{ name: 'web', labels: { a: '1' } }],
  );
});

test('labels survive a restart of the daemon and a lost database (3.8, 9.5)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const first = await startDaemon(world);
  await created(first.api, 'web', { start: false, labels: { project: 'shop' } });
  await first.stop();
  const second = await startDaemon(world);
  assert.deepEqual((await second.api.showVm('web')).labels, { project: 'shop' });
  await second.kill();
  rmSync(join(world.directories.stateDirectory, 'banger.db'));
  const third = await startDaemon(world);
  assert.deepEqual((await third.api.showVm('web')).labels, { project: 'shop' });
  await third.stop();
});

test('VMs of an installation without labels have none after the migration (2.3)', (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const path = join(world.directories.stateDirectory, 'old.db');
  const old = openDatabase(path, MIGRATIONS.slice(0, 2));
  old.exec(`INSERT INTO vms (id, name, state, image_id, image_name, spec, network_index, created_at)
    VALUES ('aa', 'web', 'stopped', 'i', 'i', '{"vcpuCount":1,"memoryMib":1,"workDiskBytes":1,"rootOverlayBytes":1,"nat":true}', 1, 'then')`);
  old.close();
  const database = openDatabase(path);
  assert.deepEqual(createVmStore(database).findByName('web')?.labels, {});
  database.close();
});
