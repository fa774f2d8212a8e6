import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BangerError } from '../model/errors.ts';
import { runAll, runSteps, type Step } from './pipeline.ts';

/** A verb of three steps whose effects are lines of a log. */
function threeSteps(log: string[], failing: { apply?: string; undo?: string } = {}): Step<null>[] {
  return ['disk', 'network', 'boot'].map((name) => ({
    name,
    title: name,
    apply: () => {
      log.push(`+${name}`);
      if (failing.apply === name) throw new BangerError('STORAGE_FAILED', `${name} broke`);
    },
    undo: () => {
      log.push(`-${name}`);
      if (failing.undo === name) throw new BangerError('INTERNAL', `cannot remove ${name}`);
    },
  }));
}

const never = new AbortController().signal;
const run = (steps: Step<null>[], signal = never, journal: string[] = []) =>
  runSteps({ steps, context: null, signal, journal: (step, status) => journal.push(`${step.name} ${status}`) });

describe('a verb made of steps', () => {
  test('runs them in order and writes each down before and after (3.3)', async () => {
    const log: string[] = [];
    const journal: string[] = [];
    await run(threeSteps(log), never, journal);
    assert.deepEqual(log, ['+disk', '+network', '+boot']);
    assert.deepEqual(journal, ['disk started', 'disk done', 'network started', 'network done', 'boot started', 'boot done']);
  });

  for (const [failing, expected] of Object.entries({
    disk: ['+disk', '-disk'],
    network: ['+disk', '+network', '-network', '-disk'],
    boot: ['+disk', '+network', '+boot', '-boot', '-network', '-disk'],
  })) {
    test(`undoes in reverse when ${failing} fails, the failed step included (3.3)`, async () => {
      const log: string[] = [];
      await assert.rejects(run(threeSteps(log, { apply: failing })), { code: 'STORAGE_FAILED', message: `${failing} broke` });
      assert.deepEqual(log, expected);
    });
  }

  test('goes on undoing when one undo fails, and joins that failure to the first (3.3)', async () => {
    const log: string[] = [];
    await assert.rejects(run(threeSteps(log, { apply: 'boot', undo: 'network' })), (error) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.message, 'boot broke');
      assert.deepEqual(
        error.undoErrors.map((e) => e.message),
        ['undoing "network" failed: cannot remove network'],
      );
      return true;
    });
    assert.deepEqual(log.slice(-3), ['-boot', '-network', '-disk']);
  });

  test('skips a step that is done already and does not undo it (1.4)', async () => {
    const log: string[] = [];
    const steps = threeSteps(log, { apply: 'boot' });
    const disk = steps[0];
    assert.ok(disk);
    disk.isDone = () => true;
    await assert.rejects(run(steps));
    assert.deepEqual(log, ['+network', '+boot', '-boot', '-network']);
  });

  test('undoes when cancelled, with an undo that the cancel does not reach (1.4)', async () => {
    const log: string[] = [];
    const controller = new AbortController();
    const steps = threeSteps(log);
    const [disk, network] = steps;
    assert.ok(disk && network);
    network.apply = (_context, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        controller.abort();
      });
    disk.undo = (_context, signal) => {
      log.push(signal.aborted ? 'undo was cancelled' : '-disk');
    };
    await assert.rejects(run(steps, controller.signal), { code: 'CANCELLED' });
    assert.deepEqual(log, ['+disk', '-network', '-disk']);
  });
});

test('taking down tries every step and reports all failures (3.5)', async () => {
  const tried: string[] = [];
  const steps: Step<null>[] = ['a', 'b', 'c'].map((name) => ({
    name,
    title: name,
    apply: () => {
      tried.push(name);
      if (name !== 'c') throw new BangerError('NETWORK_FAILED', `${name} failed`);
    },
  }));
  await assert.rejects(runAll({ steps, context: null, signal: never, journal: () => undefined }), (error) => {
    assert.ok(error instanceof BangerError);
    assert.deepEqual([error.message, ...error.undoErrors.map((e) => e.message)], ['a failed', 'b failed']);
    return true;
  });
  assert.deepEqual(tried, ['a', 'b', 'c']);
});
