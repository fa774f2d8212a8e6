// Runs the stages of `make test` one after the other. At the end it prints again what failed, and one line with the result.
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

export type Stage = {
  name: string;
  argv: readonly string[];
  /** Later stages need it. */
  essential: boolean;
  /** It runs tests of node:test; if there are none, it failed. */
  counted: boolean;
};

const makeStage = (name: string, target: string, kind: { essential?: boolean; counted?: boolean } = {}): Stage => ({
  name,
  argv: ['make', '--no-print-directory', target],
  essential: kind.essential ?? false,
  counted: kind.counted ?? false,
});

const STAGES: readonly Stage[] = [
  makeStage('build', 'build', { essential: true }),
  makeStage('check', 'check'),
  makeStage('unit', 'test-unit', { counted: true }),
  makeStage('in-process', 'test-in-process', { counted: true }),
  makeStage('faults', 'test-faults', { counted: true }),
  makeStage('walk', 'walk', { counted: true }),
  makeStage('C', 'test-agent'),
  makeStage('built', 'test-built', { counted: true }),
  makeStage('bundle', 'test-bundle', { essential: true }),
  makeStage('e2e', 'test-e2e', { counted: true }),
  makeStage('lab', 'test-lab', { counted: true }),
];

export type StageResult = {
  name: string;
  ok: boolean;
  durationMs: number;
  passed: number;
  failed: number;
  skipped: number;
  /** What failed and why, without stack traces. */
  failures: string;
};

/** The failures follow the summary again, each with its expectation. */
const TAIL_BYTES = 1024 ** 2;

/** Runs one stage with its output shown, and reads the counts that node:test prints at its end. */
export async function runStage(stage: Stage): Promise<StageResult> {
  const begin = performance.now();
  const [program = '', ...args] = stage.argv;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let tail = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    process.stdout.write(text);
    tail = (tail + text).slice(-TAIL_BYTES);
  });
  const status = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  // The last count is the summary; a test of a test runner may have printed others before.
  const count = (word: string): number => Number([...tail.matchAll(new RegExp(`^(?:ℹ|#) ${word} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0);
  const [passed, failed, skipped] = [count('pass'), count('fail'), count('skipped')];
  const ok = status === 0 && (!stage.counted || passed > 0);
  if (status === 0 && !ok) console.error(`${stage.name}: no test ran`);
  return { name: stage.name, ok, durationMs: performance.now() - begin, passed, failed, skipped, failures: failuresIn(tail) };
}

/** @returns the list of failed tests at the end of what node:test printed, without stack traces; empty if there is none */
export function failuresIn(output: string): string {
  const [, list = ''] = output.split(/^✖ failing tests:$/m).slice(-2);
  return list.replace(/^ +at .*(?: \{)?\n/gm, '').trim();
}

/** @returns the failures of all stages, to stand at the end of a long output; empty if there are none */
export function failuresOf(results: readonly StageResult[]): string {
  const told = results.filter(({ failures }) => failures !== '').map(({ name, failures }) => `--- failed in ${name}\n${failures}\n`);
  return told.join('\n');
}

/** @returns the last line: outcome, number of tests, and the time of each stage */
export function summaryOf(results: readonly StageResult[], planned: number): string {
  const sum = (pick: (result: StageResult) => number): number => results.reduce((total, result) => total + pick(result), 0);
  const broken = results.filter(({ ok }) => !ok).map(({ name }) => name);
  const outcome = broken.length > 0 ? `FAILED in ${broken.join(', ')}` : 'ok';
  const left = planned - results.length;
  const tests = `${sum(({ passed }) => passed)} tests passed, ${sum(({ failed }) => failed)} failed, ${sum(({ skipped }) => skipped)} skipped`;
  const times = results.map(({ name, durationMs }) => `${name} ${(durationMs / 1000).toFixed(1)} s`).join(', ');
  return `test: ${outcome}; ${tests}; ${times}${left > 0 ? `; ${left} stage(s) not run` : ''}`;
}

/** Runs the stages in order; a failed essential one ends the run, other failures are reported at the end. */
export async function runStages(stages: readonly Stage[]): Promise<StageResult[]> {
  const results: StageResult[] = [];
  for (const next of stages) {
    const result = await runStage(next);
    results.push(result);
    if (!result.ok && next.essential) break;
  }
  return results;
}

/** @returns the directory at or above `path` that other users cannot enter, the lowest first; undefined if there is none */
export function closedToOthers(path: string): string | undefined {
  for (let directory = path; ; directory = dirname(directory)) {
    if ((statSync(directory).mode & 0o001) === 0) return directory;
    if (directory === dirname(directory)) return undefined;
  }
}

function refuseClosedCheckout(): void {
  const closed = process.getuid?.() === 0 ? closedToOthers(process.cwd()) : undefined;
  if (closed === undefined) return;
  console.error(`test: root runs parts of the tests as an ordinary user, who cannot enter ${closed}`);
  console.error(`  try: move the checkout to another directory, or run the tests as an ordinary user`);
  process.exit(1);
}

if (import.meta.main) {
  refuseClosedCheckout();
  const results = await runStages(STAGES);
  console.log(failuresOf(results) + summaryOf(results, STAGES.length));
  if (results.length < STAGES.length || results.some(({ ok }) => !ok)) process.exitCode = 1;
}
