// `banger dns setup` with the real systemd-resolved, which the lab has and nobody uses until this test.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { type DnsServer, createDnsServer } from '../../src/dns/server.ts';
import { run } from '../../src/host/spawn.ts';
import { eventually } from '../support/machine/e2e.ts';
import { type Sandbox, createSandbox } from '../support/machine/sandbox.ts';

const RESOLV_CONF = '/etc/resolv.conf';
const FILE = '/etc/systemd/resolved.conf.d/banger.conf';
let sandbox: Sandbox;
let server: DnsServer;
let plain = '';

/** @returns what is printed, with stderr; also when it fails */
const said = (...argv: string[]): Promise<string> =>
  run(argv, { timeoutMs: 60_000 }).then(
    ({ stdout }) => stdout,
    (error: Error) => `failed: ${error.message}`,
  );

before(async () => {
  sandbox = await createSandbox({ asRoot: true });
  server = await createDnsServer({ address: '127.0.0.1', port: 0, log: () => undefined });
  server.setRecords(new Map([['web', '127.213.0.2']]));
  plain = await readFile(RESOLV_CONF, 'utf8');
});

after(async () => {
  await server.close();
  await sandbox.close();
  await run(['systemctl', 'stop', 'systemd-resolved.service']);
  await rm(RESOLV_CONF);
  await writeFile(RESOLV_CONF, plain);
});

test('without a resolver that can be told, setup gives advice and writes nothing (6.3)', async () => {
  const { status, stderr } = await sandbox.banger(['dns', 'setup', '--server', '127.0.0.1:42069']);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /sudo apt-get install/);
  assert.equal(existsSync(FILE), false);
});

test('systemd-resolved asks banger for .vm, by its stub and by its library (6.3)', async () => {
  await rm(RESOLV_CONF);
  await symlink('/run/systemd/resolve/stub-resolv.conf', RESOLV_CONF);
  await run(['systemctl', 'start', 'systemd-resolved.service'], { timeoutMs: 60_000 });
  const address = `127.0.0.1:${server.port}`;
  assert.match(await sandbox.must(['dns', 'setup', '--dry-run', '--server', address]), /Domains=~vm/);
  assert.equal(existsSync(FILE), false);
  assert.match(await sandbox.must(['dns', 'setup', '--server', address]), /done/);
  await eventually(
    'a name',
    () => said('resolvectl', 'query', 'web.vm'),
    (text) => /web\.vm: 127\.213\.0\.2/.test(text),
  );
  assert.match(await said('resolvectl', 'query', '3000.web.vm'), /127\.213\.0\.2/);
  assert.match(await said('resolvectl', 'query', 'nobody.vm'), /^failed/);
  assert.match(await said('getent', 'ahostsv4', 'web.vm'), /^127\.213\.0\.2\s/);
  assert.match(await said('dig', '+short', 'web.vm'), /^127\.213\.0\.2$/m, 'through the stub');
  assert.match(await sandbox.must(['dns', 'setup', '--server', address]), /done already/);
});

test('it is moved to where the daemon answers, status says so, and remove is clean (6.3)', async () => {
  const port = sandbox.env['BANGER_DNS_PORT'] ?? '';
  await sandbox.must(['dns', 'setup', '--server', `127.0.0.1:${port}`]);
  await eventually(
    'names by the daemon',
    () => sandbox.must(['dns', 'status']),
    (text) => /^asks banger: +yes/m.test(text) && /^names work here: +yes/m.test(text),
  );
  assert.match(await said('resolvectl', 'query', 'web.vm'), /^failed/);
  await sandbox.must(['dns', 'remove']);
  assert.equal(existsSync(FILE), false);
  assert.match(await said('resolvectl', 'query', 'ns.vm'), /^failed/);
  assert.match(await sandbox.must(['dns', 'status']), /^asks banger: +no/m);
});
