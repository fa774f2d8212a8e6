/** One thing that setup does, or finds done. */
export type SetupStep = { title: string; isDone(): Promise<boolean>; apply(): Promise<void> };

/**
 * Does what is not done, in order, and tells each step.
 * @param dryRun only tell
 * @throws what a step throws; the steps before it stay done, and the next run goes on from there
 */
export async function runSetup(steps: readonly SetupStep[], dryRun: boolean, tell: (line: string) => void): Promise<void> {
  for (const { title, isDone, apply } of steps) {
    if (await isDone()) {
      tell(`as it should be  ${title}`);
      continue;
    }
    if (!dryRun) await apply();
    tell(`${dryRun ? 'would be done' : 'done         '}    ${title}`);
  }
}
