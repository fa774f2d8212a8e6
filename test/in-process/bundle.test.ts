// The bundle's commands, from the command line to the operation.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { packagedBundle, temporaryDirectory } from '../support/images/bundle-fixture.ts';
import { answering } from '../support/user/answering.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { daemonFor } from '../support/daemon/test-daemon.ts';

const SHA256 = '0'.repeat(64);

test('a bundle from another place needs its checksum, and only a manifest or firecracker can be named (2.5)', async (t) => {
  const { world, api } = await daemonFor(t);
  const fetch = (...argv: string[]) => runInProcess(world.env, ['bundle', 'fetch', ...argv]);
  for (const argv of [
    ['firecracker', '--url', 'http://127.0.0.1:1/x'],
    ['firecracker', '--sha256', SHA256],
    ['qemu'],
    ['--sha256', SHA256],
    ['./m.toml', '--url', 'http://127.0.0.1:1/x'],
  ]) {
    assert.equal((await fetch(...argv)).exitCode, 2, argv.join(' '));
  }
  await assert.rejects(api.fetchFirecracker({ url: 'http://127.0.0.1:1/x' }, false), { code: 'INVALID_INPUT' });
  await assert.rejects(api.fetchFirecracker({ url: 'ftp://127.0.0.1/x', sha256: SHA256 }, false), { code: 'INVALID_INPUT' });
  await assert.rejects(api.fetchBundle({ sha256: SHA256 }, false), { code: 'INVALID_INPUT', message: /needs url or manifest/ });
  await assert.rejects(api.buildBundle({ jailer: '/bin/true' }, false), { code: 'INVALID_INPUT', message: /jailer needs firecracker/ });
});

test('a fetch is an operation, and its failure names the remedy (1.4, 2.5)', async (t) => {
  const { world } = await daemonFor(t);
  const missing = await runInProcess(world.env, ['bundle', 'fetch', 'firecracker', '--url', 'http://127.0.0.1:1/x', '--sha256', SHA256]);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /There is no runtime bundle in .*\n {2}try: banger bundle build/);
  const unpinned = await runInProcess(world.env, ['bundle', 'fetch', 'firecracker']);
  assert.match(unpinned.stderr, /lacks images\/firecracker\.toml\n {2}try: give --url and --sha256/);
});

test('operations package and fetch a bundle, and name what prevents them (1.4, 2.5)', async (t) => {
  const { world, api } = await daemonFor(t);
  const run = (...argv: string[]) => runInProcess(world.env, ['bundle', ...argv]);
  assert.match(
    (await run('package', '-o', join(world.directory, 'b'))).stderr,
    /There is no runtime bundle in .*\n {2}try: banger bundle build/,
  );
  const unnamed = await run('fetch');
  assert.match(unnamed.stderr, /has no .*runtime-bundle\.toml, so it names no bundle to fetch\n {2}try: banger bundle build/);
  const absent = await run('fetch', './nowhere.toml');
  assert.match(absent.stderr, /nowhere\.toml could not be fetched: ENOENT/);
  await assert.rejects(api.packageBundle({ path: 'b.tar.zst' }, false), { code: 'INVALID_INPUT' });
  await assert.rejects(api.fetchBundle({ manifest: 'ftp://127.0.0.1/m.toml' }, false), { code: 'INVALID_INPUT' });
});

test('the commands package and fetch a bundle, and status shows it (2.5)', async (t) => {
  const { world } = await daemonFor(t);
  const { manifest } = await packagedBundle(temporaryDirectory(t));
  const fetched = await runInProcess(world.env, ['bundle', 'fetch', manifest, '--progress', 'plain']);
  assert.equal(fetched.exitCode, 0, fetched.stderr);
  for (const stage of ['manifest', 'download', 'unpack', 'publish']) assert.match(fetched.stderr, new RegExp(`✓ ${stage} `));
  assert.match(fetched.stderr, /runtime bundle in .*: debian one, Linux 6\.1\.0/);
  const status = await runInProcess(world.env, ['bundle', 'status']);
  assert.deepEqual([status.exitCode, /^state:? +(.*)$/im.exec(status.stdout)?.[1]], [0, 'up to date']);
  const output = join(world.directory, 'again.tar.zst');
  assert.equal((await runInProcess(world.env, ['bundle', 'package', '-o', output])).stdout, `${output}\n`);
  assert.match(readFileSync(join(world.directory, 'runtime-bundle.toml'), 'utf8'), /^url = "again\.tar\.zst"$/m);
});

test('fetching a bundle over plain http warns and asks, unless a checksum is given for its manifest (2.5)', async (t) => {
  const { world } = await daemonFor(t);
  const { manifest, archive } = await packagedBundle(temporaryDirectory(t));
  const content = readFileSync(manifest);
  const sha256 = createHash('sha256').update(content).digest('hex');
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    if (request.url?.endsWith('.toml') === true) response.end(content);
    else createReadStream(archive).pipe(response);
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/runtime-bundle.toml`;
  const warning = /warning: http:.* comes over plain http and without a checksum/;

  const declined = await answering(world.env, 'n', ['bundle', 'fetch', url]);
  assert.equal(declined.exitCode, 130);
  assert.match(declined.text, warning);
  assert.match(declined.text, /Fetch http:.*runtime-bundle\.toml all the same\? \[y\/N\]/);
  const silent = await answering({ ...world.env, BANGER_NO_INPUT: '1' }, '', ['bundle', 'fetch', url]);
  assert.deepEqual([silent.exitCode, asked], [2, 0]);

  const other = await runInProcess(world.env, ['bundle', 'fetch', url, '--sha256', SHA256]);
  assert.match(other.stderr, /runtime-bundle\.toml has the wrong content: its SHA-256 is [0-9a-f]{64}, not 0{64}/);
  assert.equal(asked, 1);
  const known = await runInProcess(world.env, ['bundle', 'fetch', url, '--sha256', sha256.toUpperCase()]);
  assert.equal(known.exitCode, 0, known.stderr);
  assert.doesNotMatch(known.stderr, warning);
  for (const { exitCode, text } of [
    await answering(world.env, 'y', ['bundle', 'fetch', url]),
    await answering(world.env, '', ['bundle', 'fetch', '--yes', url]),
  ]) {
    assert.equal(exitCode, 0, text);
    assert.match(text, warning);
  }
  const piped = await runInProcess(world.env, ['bundle', 'fetch', url]);
  assert.deepEqual([piped.exitCode, warning.test(piped.stderr)], [0, true]);
});
