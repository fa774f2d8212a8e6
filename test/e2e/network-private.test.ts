// Runs network-private-inside.ts and network-outbound-inside.ts on a host of its own, as root and as an ordinary user.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { CommandFailure, commandEnvironment, run } from '../../src/host/spawn.ts';

const root = resolve(import.meta.dirname, '../..');

async function runInside(kind: 'root' | 'user'): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'banger-network-'));
  try {
    await chmod(scratch, 0o755);
    await run(['make', '-C', join(root, 'native/forwarder'), `BUILD=${join(scratch, 'build')}`], { timeoutMs: 120_000 });
    const inside = ['private', 'outbound'].map((name) => join(root, `test/e2e/network-${name}-inside.ts`));
    const env = {
      ...commandEnvironment(),
      LAB_NODE: process.execPath,
      LAB_INTERNET: join(root, 'test/support/outside/internet-fixture.ts'),
      LAB_FORWARDER: join(scratch, 'build/banger-forwarder'),
    };
    const lab = join(root, 'test/support/outside/network-lab.sh');
    const node = [process.execPath, '--test', '--test-concurrency=1', '--test-reporter=tap', ...inside];
    const outcome = await run([lab, kind, ...node], { env, timeoutMs: 600_000 });
    return outcome.stdout;
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return assert.fail(`${error.message}\n${error.outcome.stdout}\n${error.outcome.stderr}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const isRoot = process.getuid?.() === 0;

test('the private network keeps its promises with root as its user (6.1)', async () => {
  assert.match(await runInside('root'), /^# fail 0$/m);
});

test(
  'the private network keeps its promises for an ordinary user (6.1)',
  { skip: isRoot ? false : 'root sets up the other user' },
  async () => {
    assert.match(await runInside('user'), /^# fail 0$/m);
  },
);
