// Reads from a job's output how its tests ended.

/** The line that image/run-job prints at the end of each run of node:test. */
const END_OF_RUN = 'lab: end of a run';

export type TestCounts = { pass: number; fail: number; skipped: number };

/** @returns whether the job was one of tests. */
export function hasRuns(output: string): boolean {
  return output.includes(END_OF_RUN);
}

/** @returns the sums over all runs. The last count of each run is its summary; a test of a test runner may have printed others before. */
export function countTests(output: string): TestCounts {
  const counts: TestCounts = { pass: 0, fail: 0, skipped: 0 };
  for (const run of output.split(END_OF_RUN).slice(0, -1)) {
    for (const word of ['pass', 'fail', 'skipped'] as const) {
      counts[word] += Number([...run.matchAll(new RegExp(`^(?:ℹ|#) ${word} (\\d+)\\r?$`, 'gm'))].at(-1)?.[1] ?? 0);
    }
  }
  return counts;
}
