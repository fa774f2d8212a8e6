import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { closedToOthers, failuresOf, type Stage, runStages, summaryOf } from './run-stages.ts';

const stage = (name: string, script: string, kind: Partial<Stage> = {}): Stage => ({
  name,
  argv: ['sh', '-c', script],
  essential: false,
  counted: false,
  ...kind,
});

test('a failure is remembered, later stages still run, and the line names it', async () => {
  const stages = [stage('a', 'exit 3'), stage('b', "printf 'ℹ pass 9\\nℹ pass 4\\nℹ fail 0\\nℹ skipped 1\\n'", { counted: true })];
  const results = await runStages(stages);
  assert.deepEqual(
    results.map(({ ok }) => ok),
    [false, true],
  );
  assert.match(summaryOf(results, 2), /^test: FAILED in a; 4 tests passed, 0 failed, 1 skipped; a \d/);
});

test('nothing runs after an essential stage that failed, and the line says how much was left out', async () => {
  const results = await runStages([stage('a', 'exit 1', { essential: true }), stage('b', 'true')]);
  assert.equal(results.length, 1);
  assert.match(summaryOf(results, 2), /1 stage\(s\) not run$/);
});

test('a stage of tests in which no test ran has failed', async () => {
  const [result] = await runStages([stage('a', "printf 'ℹ pass 0\\n'", { counted: true })]);
  assert.equal(result?.ok, false);
});

test('what failed is told again at the end, with its reason and without stack traces', async () => {
  const printed = `✖ one (2 ms)
ℹ pass 0
ℹ fail 1

✖ failing tests:

test at test/e2e/network.test.ts:9:1
✖ one (2 ms)
  Error: banger vm create ended with 1
  the guest agent did not answer
      at must (sandbox.ts:1:1)
      at async Test.run (node:internal/test_runner/test:1409:7) {
    code: 'ERR_ASSERTION'
  }`;
  const failing = stage('e2e', `cat <<'END'\n${printed}\nEND\nexit 1`, { counted: true });
  const results = await runStages([failing, stage('lab', 'echo more')]);
  assert.equal(
    failuresOf(results),
    `--- failed in e2e
test at test/e2e/network.test.ts:9:1
✖ one (2 ms)
  Error: banger vm create ended with 1
  the guest agent did not answer
    code: 'ERR_ASSERTION'
  }
`,
  );
});

test('a program that cannot be started is a failure', async () => {
  const [result] = await runStages([{ ...stage('a', ''), argv: ['/nonexistent'] }]);
  assert.equal(result?.ok, false);
});

test('a checkout that other users cannot reach is seen, and so is the directory that closes it', (t) => {
  const closed = mkdtempSync('/tmp/banger-closed-');
  t.after(() => rmSync(closed, { recursive: true }));
  const checkout = join(closed, 'checkout');
  mkdirSync(checkout, { mode: 0o755 });
  assert.equal(closedToOthers(checkout), closed);
  chmodSync(closed, 0o711);
  assert.equal(closedToOthers(checkout), undefined);
});
