import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, startTicksOf, type ProcessIdentity } from './processes.ts';
import { CommandFailure, run, type RunOptions, spawnDetached } from './spawn.ts';

/** A shell and the sleep that it started, both deaf to SIGTERM when `deaf`. */
async function startFamily(options: RunOptions, deaf: boolean) {
  const family: ProcessIdentity[] = [];
  const script = `${deaf ? "trap '' TERM; " : ''}sleep 1000 & echo $$ $!; wait; wait; sleep 1000`;
  const told = Promise.withResolvers<void>();
  const onLine = (line: string): void => {
    for (const pid of line.split(' ').map(Number)) family.push({ pid, startTicks: startTicksOf(pid) ?? 0 });
    told.resolve();
  };
  const outcome = run(['sh', '-c', script], { ...options, onLine }).then(
    () => undefined,
    (error: unknown) => error as CommandFailure,
  );
  await told.promise;
  assert.deepEqual([family.length, family.every(isAlive)], [2, true]);
  return { family, outcome };
}

/** The kernel ends them in its own time. */
async function assertGone(family: readonly ProcessIdentity[]): Promise<void> {
  while (family.some(isAlive)) await sleep(20);
}

describe('a command', () => {
  for (const deaf of [false, true]) {
    test(`that is cancelled ends with all that it has started${deaf ? ', also when they do not listen' : ''} (1.4)`, async () => {
      const controller = new AbortController();
      const { family, outcome } = await startFamily({ signal: controller.signal }, deaf);
      controller.abort();
      const failure = await outcome;
      assert.ok(failure instanceof CommandFailure);
      assert.deepEqual([failure.outcome.cancelled, failure.message], [true, 'sh was cancelled']);
      await assertGone(family);
    });
  }

  test('that takes too long ends in the same way, and says so (1.4)', async () => {
    const { family, outcome } = await startFamily({ timeoutMs: 500 }, false);
    const failure = await outcome;
    assert.deepEqual([failure?.outcome.timedOut, failure?.message], [true, 'sh took too long and was ended']);
    await assertGone(family);
  });

  test('that was cancelled before it began is not started (1.4)', async () => {
    await assert.rejects(run(['sh', '-c', 'exit 0'], { signal: AbortSignal.abort() }), /was cancelled/);
  });
});

test('a process that outlives the daemon reads its input from a descriptor of its own (10.5)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const outputPath = join(directory, 'output');
  const { input, exited } = await spawnDetached(['sh', '-c', 'cat <&3; echo " and its end"'], { outputPath, hasInput: true });
  input?.end('all of it');
  assert.deepEqual(await exited, { exitCode: 0, signal: null });
  assert.equal(readFileSync(outputPath, 'utf8'), 'all of it and its end\n');
});
