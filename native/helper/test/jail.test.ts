// Jails on any host where the tests are root: in a mount namespace with cgroup v2. With BANGER_FIRECRACKER and BANGER_JAILER
// the programs are real; else stand-in.c plays both. What takes limits or a guest is in test/lab/jail.test.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { test } from 'node:test';

const inside = join(import.meta.dirname, 'jail-inside.ts');
const skip = process.getuid?.() === 0 ? false : 'the helper is a program of root; `make lab` tests it too';

test('jails of VMMs, in a mount namespace of their own (4.1)', { skip }, () => {
  // What is mounted here is gone with the last process inside.
  const script = 'mount --make-rprivate / && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';
  const node = [process.execPath, '--no-function-context-cells', '--test-reporter=spec', inside];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const outcome = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', ...node], { stdio: 'inherit', env });
  assert.equal(outcome.status, 0);
});
