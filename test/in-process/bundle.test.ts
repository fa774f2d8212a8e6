// The bundle's commands, from the command line to the operation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInProcess } from '../support/run-cli.ts';
import { daemonFor } from '../support/test-daemon.ts';

const SHA256 = '0'.repeat(64);

test('what is fetched from elsewhere must come with its checksum, and only firecracker can be fetched (2.5)', async (t) => {
  const { world, api } = await daemonFor(t);
  const fetch = (...argv: string[]) => runInProcess(world.env, ['bundle', 'fetch', ...argv]);
  for (const argv of [['firecracker', '--url', 'http://127.0.0.1:1/x'], ['firecracker', '--sha256', SHA256], ['qemu']]) {
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
