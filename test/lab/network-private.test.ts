// What guests of the private network may and may not, on Debian's own kernel with a fake outside. The suite of connections to the outside
// is left to test/e2e/network-private.test.ts: it moves more bytes than an emulated CPU does in its time limits.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { CommandFailure, commandEnvironment, run } from '../../src/host/spawn.ts';
import { bundleProgram } from '../support/images/bundle-program.ts';

const root = resolve(import.meta.dirname, '../..');

test('the private network keeps its promises for an ordinary user (6.1)', async () => {
  const env = {
    ...commandEnvironment(),
    LAB_NODE: process.execPath,
    LAB_INTERNET: join(root, 'test/support/outside/internet-fixture.ts'),
    LAB_FORWARDER: bundleProgram('forwarder'),
  };
  const inside = join(root, 'test/e2e/network-private-inside.ts');
  const node = [process.execPath, '--test', '--test-reporter=tap', inside];
  const outcome = await run([join(root, 'test/support/outside/network-lab.sh'), 'user', ...node], { env, timeoutMs: 400_000 }).catch(
    (error: unknown) => {
      if (!(error instanceof CommandFailure)) throw error;
      return assert.fail(`${error.message}\n${error.outcome.stdout}\n${error.outcome.stderr}`);
    },
  );
  assert.match(outcome.stdout, /^# fail 0$/m);
});
