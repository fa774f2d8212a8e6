// Runs network-bridge-inside.ts on a host of its own.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { CommandFailure, commandEnvironment, run } from '../../src/host/spawn.ts';

const root = resolve(import.meta.dirname, '../..');
const skip = process.getuid?.() === 0 ? false : 'the bridge is made by root';

test('the bridge network keeps its promises, and the host is left as it was (6.2)', { skip }, async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'banger-bridge-'));
  try {
    await run(['make', '-C', join(root, 'native/helper'), `BUILD=${join(scratch, 'build')}`, 'faulty'], { timeoutMs: 120_000 });
    await run(['make', '-C', join(root, 'native/forwarder'), `BUILD=${join(scratch, 'build')}`], { timeoutMs: 120_000 });
    const env = {
      ...commandEnvironment(),
      LAB_NODE: process.execPath,
      LAB_INTERNET: join(root, 'test/support/outside/internet-fixture.ts'),
      LAB_FORWARDER: join(scratch, 'build/banger-forwarder'),
      LAB_HELPER: process.env['LAB_HELPER'] ?? join(scratch, 'build/banger-helper-faulty'),
    };
    const node = [process.execPath, '--test', '--test-reporter=tap', join(root, 'test/e2e/network-bridge-inside.ts')];
    const { stdout } = await run([join(root, 'test/support/outside/network-lab.sh'), 'root', ...node], { env, timeoutMs: 600_000 });
    assert.match(stdout, /^# fail 0$/m);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    assert.fail(`${error.message}\n${error.outcome.stdout}\n${error.outcome.stderr}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});
