// The trust of the host in guests: what they are given before their init runs, and that it goes again.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createHostTrust } from '../../src/daemon/host-trust.ts';
import { realHost } from '../../src/host/host.ts';
import { makeAuthority } from '../support/outside/authority.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended, fakeOf, type TestDaemon, until } from '../support/daemon/test-daemon.ts';

const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const directory = mkdtempSync(join(tmpdir(), 'bgr-ca-'));
after(() => rmSync(directory, { recursive: true }));
const authority = makeAuthority(directory);
const env = { BANGER_TRUST_CA_FILE: authority.certificatePath, BANGER_TRUST_HTTPS_PROXY: 'http://me:p%40ss@proxy.example:3128' };

const textOf = ({ world }: Pick<TestDaemon, 'world'>, name: string, path: string): string | undefined =>
  fakeOf(world, name).guest.files.get(path)?.content.toString('latin1');

test("a guest that trusts the host's authorities has them in its trust store, also after later updates, and in variables (8.3)", async (t) => {
  const daemon = await daemonFor(t, { env });
  await created(daemon.api, 'web', { hostCa: true, hostProxy: true });
  assert.match(textOf(daemon, 'web', BUNDLE) ?? '', /distribution[\s\S]*# banger begin/);
  assert.ok(textOf(daemon, 'web', BUNDLE)?.includes(authority.certificate));
  assert.equal(textOf(daemon, 'web', '/usr/local/share/ca-certificates/banger-host-1.crt'), authority.certificate);
  assert.equal(textOf(daemon, 'web', '/etc/banger-host-ca.pem'), authority.certificate);
  const variables = textOf(daemon, 'web', '/etc/environment')?.split('\n') ?? [];
  for (const line of [
    ...['LANG=C.UTF-8', 'NODE_EXTRA_CA_CERTS=/etc/banger-host-ca.pem', `SSL_CERT_FILE=${BUNDLE}`, `REQUESTS_CA_BUNDLE=${BUNDLE}`],
    ...['https_proxy=http://me:p%40ss@proxy.example:3128', 'HTTPS_PROXY=http://me:p%40ss@proxy.example:3128'],
  ]) {
    assert.ok(variables.includes(line), `${line} is missing in\n${variables.join('\n')}`);
  }
  assert.match(
    textOf(daemon, 'web', '/etc/systemd/system.conf') ?? '',
    /^\[Manager\]\nDefaultEnvironment=.*"https_proxy=http:\/\/me:p%%40ss@proxy/m,
  );
  assert.equal(
    textOf(daemon, 'web', '/etc/apt/apt.conf.d/99banger-host-proxy'),
    'Acquire::https::Proxy "http://me:p%40ss@proxy.example:3128";\n',
  );
  const shown = await runInProcess(daemon.world.env, ['vm', 'show', 'web']);
  assert.match(shown.stdout, /^host ca: +trusted$/m);
  assert.match(shown.stdout, /^host proxy: +told$/m);
});

test('a guest gets no trust unless a flag or the configuration says so (8.3, 2.2)', async (t) => {
  const daemon = await daemonFor(t, { env });
  await created(daemon.api, 'plain');
  assert.doesNotMatch(textOf(daemon, 'plain', BUNDLE) ?? '', /banger/);
  assert.equal(textOf(daemon, 'plain', '/etc/environment'), 'LANG=C.UTF-8\n');
  const byDefault = await daemonFor(t, { env: { ...env, BANGER_DEFAULTS_HOST_CA: 'true' } });
  await created(byDefault.api, 'web');
  await created(byDefault.api, 'not', { hostCa: false });
  assert.ok(textOf(byDefault, 'web', BUNDLE)?.includes(authority.certificate));
  assert.doesNotMatch(textOf(byDefault, 'web', '/etc/environment') ?? '', /proxy/);
  assert.doesNotMatch(textOf(byDefault, 'not', BUNDLE) ?? '', /banger/);
});

test('vm set gives or removes it with the next start, and says that a running VM must be stopped (3.7, 8.3)', async (t) => {
  const daemon = await daemonFor(t, { env });
  const run = (...argv: string[]) => runInProcess(daemon.world.env, argv);
  await created(daemon.api, 'web');
  assert.match((await run('vm', 'set', 'web', '--host-ca')).stderr, /is running, and --host-ca needs it stopped/);
  await done(daemon.api, daemon.api.beginVm('web', 'stop'));
  assert.equal((await run('vm', 'set', 'web', '--host-ca')).exitCode, 0);
  await done(daemon.api, daemon.api.beginVm('web', 'start'));
  assert.ok(textOf(daemon, 'web', BUNDLE)?.includes(authority.certificate));
  await done(daemon.api, daemon.api.beginVm('web', 'stop'));
  assert.equal((await run('vm', 'set', 'web', '--no-host-ca')).exitCode, 0);
  await done(daemon.api, daemon.api.beginVm('web', 'start'));
  assert.doesNotMatch(textOf(daemon, 'web', BUNDLE) ?? '', /banger/);
});

test('what cannot be given is refused before anything is made (8.3, 3.2)', async (t) => {
  const refused = async (more: Record<string, string>, ...argv: string[]): Promise<string> => {
    const daemon = await daemonFor(t, { env: { ...env, ...more } });
    const { exitCode, stderr } = await runInProcess(daemon.world.env, argv);
    assert.notEqual(exitCode, 0);
    assert.deepEqual(await daemon.api.listVms(), []);
    return stderr;
  };
  const create = ['vm', 'create', '--name', 'web', '--host-ca', '--host-proxy'];
  assert.match(await refused({ BANGER_TRUST_CA_FILE: '/nowhere.pem' }, ...create), /\/nowhere\.pem cannot be read: ENOENT\n {2}try: ls -l/);
  assert.match(await refused({ BANGER_TRUST_CA_FILE: join(directory, 'ca.key') }, ...create), /contains a private key/);
  assert.match(
    await refused({ BANGER_TRUST_HTTPS_PROXY: 'http://127.0.0.1:3128' }, ...create),
    /https_proxy is a proxy on the loopback of this host \(127\.0\.0\.1:3128\), which no guest reaches\n {2}try: let the proxy listen .* set trust\.https_proxy in config\.toml/,
  );
  assert.match(await refused({ BANGER_TRUST_CA_FILE: '/nowhere.pem' }, 'image', 'build', '--name', 'dev', '--host-ca'), /nowhere\.pem/);
});

test('an image is built with the trust of the host, and does not contain it (8.3)', async (t) => {
  const daemon = await daemonFor(t, { env });
  const begun = await daemon.api.buildImage({ name: 'dev', hostCa: true, hostProxy: true }, false);
  const find = () => [...daemon.world.machines.machines.values()].find(({ spec }) => spec.vmName === 'build-dev');
  await until(() => find() !== undefined);
  const files = find()?.guest.files;
  const { state, error } = await ended(daemon.api, begun);
  assert.equal(state, 'done', JSON.stringify(error));
  const content = (path: string): string => files?.get(path)?.content.toString() ?? '';
  // The shell of this guest removes no files, so what it was given shows.
  assert.equal(content('/usr/local/share/ca-certificates/banger-host-1.crt'), authority.certificate);
  assert.equal(content('/etc/environment'), 'LANG=C.UTF-8\n');
  for (const path of [BUNDLE, '/etc/systemd/system.conf']) assert.doesNotMatch(content(path), /banger|^$/, path);
});

test('without a file in the configuration, the authorities that an administrator added to the host are used, and the proxies of the environment (8.3)', async () => {
  const anchors = mkdtempSync(join(directory, 'anchors-'));
  const source = createHostTrust({ trust: {} }, realHost, { HTTP_PROXY: 'proxy.example:1', no_proxy: 'corp.example' }, [
    anchors,
    join(anchors, 'none'),
  ]);
  await assert.rejects(source.certificates(), { code: 'NOT_FOUND', remedy: /trust\.ca_file/ });
  writeFileSync(join(anchors, 'README'), 'text');
  writeFileSync(join(anchors, 'company.crt'), authority.certificate);
  writeFileSync(join(anchors, 'again.pem'), authority.certificate);
  assert.deepEqual(await source.certificates(), [authority.certificate]);
  const variables = source.proxyVariables();
  assert.deepEqual([variables['http_proxy'], variables['https_proxy']], ['http://proxy.example:1', undefined]);
  assert.match(variables['no_proxy'] ?? '', /^corp\.example,localhost/);
  assert.throws(() => createHostTrust({ trust: {} }, realHost, {}, []).proxyVariables(), {
    code: 'NOT_FOUND',
    remedy: /trust\.http_proxy/,
  });
});
