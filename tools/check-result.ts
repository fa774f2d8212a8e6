/** What a check found; a check that looked at nothing has not passed. */
export type CheckResult = {
  /** Files looked at. */
  scanned: number;
  /** One line each: `path:line: what is wrong, and what to do instead`. */
  problems: string[];
  /** One line for the reader, printed also when all is well. */
  summary: string;
};

/**
 * Prints the result of a check and sets the exit status of the process.
 * @param name of the check, as in `make check`
 */
export function concludeCheck(name: string, result: CheckResult): void {
  const problems = result.scanned === 0 ? [...result.problems, 'no file was looked at'] : result.problems;
  for (const problem of problems) console.error(problem);
  console.log(`${name}: ${problems.length === 0 ? 'ok' : `${problems.length} problem(s)`}, ${result.summary}`);
  if (problems.length > 0) process.exitCode = 1;
}
