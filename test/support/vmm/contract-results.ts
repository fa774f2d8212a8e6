/**
 * For a test in the lab that runs contract suites in a separate process.
 * @param name of the file that tools/lab/image/run-job collects
 * @returns arguments of node that show the tests as usual and also record which promises of a contract were kept
 */
export function contractReporters(name: string, shown: 'spec' | 'tap' = 'spec'): string[] {
  return [
    ...[`--test-reporter=${shown}`, '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${REPORTER}`, `--test-reporter-destination=/var/lib/lab/contract-${name}.jsonl`],
  ];
}

const REPORTER = new URL('../../../tools/lab/contract-reporter.ts', import.meta.url).pathname;
