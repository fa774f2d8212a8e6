// What banger says of itself and of its host; programs read the exit code and the JSON, people the table.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BundleStatus, DoctorReport } from '../../src/api/schemas.ts';
import { daemonStatus, useSandbox } from '../support/machine/e2e.ts';

describe('with a runtime bundle', () => {
  const sandbox = useSandbox();

  test('bundle status names every file (2.4, 2.5)', async () => {
    const bundle = JSON.parse(await sandbox().must(['bundle', 'status', '-o', 'json'])) as BundleStatus;
    assert.deepEqual([bundle.found, bundle.problems], [true, []]);
    assert.equal(bundle.directory, sandbox().env['BANGER_BUNDLE']);
    const table = await sandbox().must(['bundle', 'status']);
    for (const { part, path, sizeBytes } of bundle.files) {
      assert.ok(sizeBytes > 0, part);
      assert.match(table, new RegExp(`^${part} .*${path}`, 'm'));
    }
  });

  test('daemon status names every path, and every chosen driver with the reason (1.5)', async () => {
    const { env } = sandbox();
    const status = await daemonStatus(sandbox());
    assert.equal(status.socketPath, `${env['BANGER_RUNTIME_DIR']}/bangerd.sock`);
    assert.equal(status.databasePath, `${env['BANGER_STATE_DIR']}/banger.db`);
    assert.equal(status.logPath, `${env['BANGER_STATE_DIR']}/bangerd.log`);
    assert.equal(status.configPath, env['BANGER_CONFIG']);
    assert.equal(status.bundleDirectory, env['BANGER_BUNDLE']);
    assert.deepEqual(status.dns, { address: `127.0.0.1:${env['BANGER_DNS_PORT']}`, listening: true, problem: null });
    for (const [kind, { name, reason }] of Object.entries(status.drivers)) assert.ok(name !== '' && reason !== '', kind);
    const text = await sandbox().must(['daemon', 'status']);
    for (const shown of [String(status.pid), status.build, status.socketPath, status.databasePath, status.drivers.network.reason]) {
      assert.ok(text.includes(shown), shown);
    }
  });

  test('daemon logs prints the log, daemon stop ends it, and status does not start it again (1.5)', async () => {
    assert.match(await sandbox().must(['daemon', 'logs']), /"msg":"listening"/);
    await sandbox().must(['daemon', 'stop']);
    const stopped = await sandbox().banger(['daemon', 'status']);
    assert.deepEqual([stopped.status, stopped.stdout], [1, '']);
    await sandbox().must(['daemon', 'start']);
    await sandbox().must(['daemon', 'status']);
  });

  test('doctor judges everything, says what to do where not all is well, and ends with 0 while nothing fails (9.3)', async () => {
    const outcome = await sandbox().banger(['doctor', '-o', 'json']);
    const { findings, drivers } = JSON.parse(outcome.stdout) as DoctorReport;
    assert.equal(outcome.status, 0, outcome.stdout);
    for (const topic of ['qemu', 'storage', 'network', 'bundle', 'dns']) {
      assert.ok(
        findings.some(({ name }) => name.includes(topic)),
        topic,
      );
    }
    const table = await sandbox().must(['doctor']);
    for (const { name, level, reason, remedy } of findings) {
      const isInTable = level === 'pass' && drivers.some((driver) => driver.reason === reason);
      if (!isInTable) assert.match(table, new RegExp(`${level} +${name.replaceAll('.', '\\.')}`));
      assert.ok(level === 'pass' || remedy !== undefined, name);
    }
    assert.deepEqual(
      drivers.filter(({ chosen }) => chosen).map(({ kind }) => kind),
      ['hypervisor', 'network', 'storage'],
    );
    for (const { kind, name, usable, remedy } of drivers) {
      assert.match(table, new RegExp(`^${kind} +${name}`, 'm'));
      assert.ok(usable || remedy !== null, name);
    }
  });
});

describe('without a runtime bundle', () => {
  const sandbox = useSandbox({ env: { BANGER_BUNDLE: '/nonexistent/bundle' } });

  test('create is refused before anything is made, and names the command that mends it (2.4, 9.2)', async () => {
    const create = await sandbox().banger(['vm', 'create', '--name', 'web']);
    assert.equal(create.status, 1);
    assert.match(create.stderr, /There is no runtime bundle in \/nonexistent\/bundle\.\n {2}try: banger bundle build/);
    assert.equal(await sandbox().must(['vm', 'list', '-q']), '');
  });

  test('bundle status ends with 1 and says the same (2.4)', async () => {
    const status = await sandbox().banger(['bundle', 'status', '-o', 'json']);
    const { found, remedy } = JSON.parse(status.stdout) as BundleStatus;
    assert.deepEqual([status.status, found, remedy], [1, false, 'banger bundle build']);
  });

  test('doctor ends with 3 (9.3)', async () => {
    const outcome = await sandbox().banger(['doctor', '-o', 'json']);
    const { findings } = JSON.parse(outcome.stdout) as DoctorReport;
    assert.equal(outcome.status, 3);
    assert.equal(findings.find(({ name }) => name === 'bundle')?.level, 'fail');
    const table = await sandbox().banger(['doctor']);
    assert.equal(table.status, 3);
    assert.match(table.stdout, /✗ fail {2}bundle .*\n +try: banger bundle build/);
  });
});
