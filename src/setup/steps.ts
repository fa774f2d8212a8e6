/** One thing that setup does, or finds done already. */
export type SetupStep = { title: string; isDone(): Promise<boolean>; apply(): Promise<void> };

/**
 * Does what is missing, in order, and reports each step.
 * @param dryRun only report
 * @throws the error of a step; the steps before it stay done, and the next run continues there
 */
export async function runSetup(steps: readonly SetupStep[], dryRun: boolean, tell: (line: string) => void): Promise<void> {
  for (const { title, isDone, apply } of steps) {
    if (await isDone()) {
      tell(`done already  ${title}`);
      continue;
    }
    if (!dryRun) await apply();
    tell(`${dryRun ? 'would be done' : 'done         '}    ${title}`);
  }
}
