// The bundle's commands, from the command line to the operation.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packagedBundle, temporaryDirectory } from '../support/bundle-fixture.ts';
import { runInProcess } from '../support/run-cli.ts';
import { daemonFor } from '../support/test-daemon.ts';

const SHA256 = '0'.repeat(64);

test('what is fetched from elsewhere must come with its checksum, and what is named must be a manifest or firecracker (2.5)', async (t) => {
  const { world, api } = await daemonFor(t);
  const fetch = (...argv: string[]) => runInProcess(world.env, ['bundle', 'fetch', ...argv]);
  for (const argv of [
    ['firecracker', '--url', 'http://127.0.0.1:1/x'],
    ['firecracker', '--sha256', SHA256],
    ['qemu'],
    ['./m.toml', '--sha256', SHA256],
  ]) {
    assert.equal((await fetch(...argv)).exitCode, 2, argv.join(' '));
  }
  await assert.rejects(api.fetchFirecracker({ url: 'http://127.0.0.1:1/x' }, false), { code: 'INVALID_INPUT' });
  await assert.rejects(api.fetchFirecracker({ url: 'ftp://127.0.0.1/x', sha256: SHA256 }, false), { code: 'INVALID_INPUT' });
  await assert.rejects(api.buildBundle({ jailer: '/bin/true' }, false), { code: 'INVALID_INPUT', message: /only with firecracker/ });
});

test('fetch is an operation whose failure says what mends it (1.4, 2.5)', async (t) => {
  const { world } = await daemonFor(t);
  const missing = await runInProcess(world.env, ['bundle', 'fetch', 'firecracker', '--url', 'http://127.0.0.1:1/x', '--sha256', SHA256]);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /There is no runtime bundle in .*\n {2}try: banger bundle build/);
  const unpinned = await runInProcess(world.env, ['bundle', 'fetch', 'firecracker']);
  assert.match(unpinned.stderr, /does not bring images\/firecracker\.toml\n {2}try: give --url and --sha256/);
});

test('a bundle is packaged and fetched by operations that name what is in the way (1.4, 2.5)', async (t) => {
  const { world, api } = await daemonFor(t);
  const run = (...argv: string[]) => runInProcess(world.env, ['bundle', ...argv]);
  assert.match(
    (await run('package', '-o', join(world.directory, 'b'))).stderr,
    /There is no runtime bundle in .*\n {2}try: banger bundle build/,
  );
  const unnamed = await run('fetch');
  assert.match(unnamed.stderr, /names no bundle that could be fetched: there is no .*runtime-bundle\.toml\n {2}try: banger bundle build/);
  const absent = await run('fetch', './nowhere.toml');
  assert.match(absent.stderr, /nowhere\.toml could not be fetched: ENOENT/);
  await assert.rejects(api.packageBundle({ path: 'b.tar.zst' }, false), { code: 'INVALID_INPUT' });
  await assert.rejects(api.fetchBundle('ftp://127.0.0.1/m.toml', false), { code: 'INVALID_INPUT' });
});

test('a packaged bundle comes through the commands, and status shows it (2.5)', async (t) => {
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
