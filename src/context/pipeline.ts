import { BangerError } from '../model/errors.ts';
import type { StageStatus } from '../model/operation.ts';
import { messageOf } from '../lib/message-of.ts';

/**
 * One step of a verb. `apply` must be idempotent or guarded by `isDone`. `undo` must tolerate missing parts, because after a crash nobody
 * knows how far `apply` got. Both find everything they need in the context, never in memory of an earlier step, so that another daemon can
 * undo or finish.
 */
export type Step<Context> = {
  /** Stable; recorded in the operation log. */
  name: string;
  /** For people. */
  title: string;
  isDone?(context: Context): boolean | Promise<boolean>;
  apply(context: Context, signal: AbortSignal): void | Promise<void>;
  undo?(context: Context, signal: AbortSignal): void | Promise<void>;
};

/** Gets an event before and after every step. */
export type Journal = (step: { name: string; title: string }, status: StageStatus, durationMs?: number) => void;

/** Undo ignores what cancelled the verb, but has a time limit of its own. */
const UNDO_TIMEOUT_MS = 30_000;

export type PipelineOptions<Context> = {
  steps: readonly Step<Context>[];
  context: Context;
  journal: Journal;
  signal: AbortSignal;
};

/**
 * Runs the steps in order. If one fails or the signal fires, undoes in reverse the steps that have begun.
 * @throws the first error, with the failures of the undo in it (BangerError.undoErrors)
 */
export async function runSteps<Context>(options: PipelineOptions<Context>): Promise<void> {
  const { steps, context, journal, signal } = options;
  const begun: Step<Context>[] = [];
  try {
    for (const step of steps) {
      throwIfCancelled(signal);
      if ((await step.isDone?.(context)) === true) {
        journal(step, 'skipped');
        continue;
      }
      begun.push(step);
      await applyOne(step, options);
    }
    throwIfCancelled(signal);
  } catch (error) {
    const first = toBangerError(error, signal);
    first.undoErrors.push(...(await undoSteps({ steps: begun, context, journal })));
    throw first;
  }
}

async function applyOne<Context>(step: Step<Context>, { context, journal, signal }: PipelineOptions<Context>): Promise<void> {
  const startedAt = performance.now();
  journal(step, 'started');
  try {
    await step.apply(context, signal);
  } catch (error) {
    journal(step, 'failed', performance.now() - startedAt);
    throw error;
  }
  journal(step, 'done', performance.now() - startedAt);
}

/**
 * Undoes steps in reverse order; a step that fails does not stop the others.
 * @returns the failures, oldest first
 */
export async function undoSteps<Context>(options: {
  steps: readonly Step<Context>[];
  context: Context;
  journal: Journal;
}): Promise<Error[]> {
  const failures: Error[] = [];
  for (const step of options.steps.toReversed()) {
    if (step.undo === undefined) continue;
    try {
      await step.undo(options.context, AbortSignal.timeout(UNDO_TIMEOUT_MS));
      options.journal(step, 'undone');
    } catch (error) {
      failures.push(new BangerError('INTERNAL', `undoing "${step.title}" failed: ${messageOf(error)}`, { cause: error }));
    }
  }
  return failures;
}

/**
 * Runs steps that end or remove something: each runs even if an earlier one failed.
 * @throws the first failure with the others joined to it
 */
export async function runAll<Context>(options: PipelineOptions<Context>): Promise<void> {
  let first: BangerError | undefined;
  for (const step of options.steps) {
    try {
      await applyOne(step, options);
    } catch (error) {
      // These steps have no rollback, so a cancel is not the error.
      if (first === undefined) first = asBangerError(error);
      else first.undoErrors.push(asBangerError(error));
    }
  }
  if (first !== undefined) throw first;
}

function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw toBangerError(signal.reason, signal);
}

function toBangerError(error: unknown, signal: AbortSignal): BangerError {
  if (signal.aborted) {
    const log = error instanceof BangerError && error.logPath !== undefined ? { logPath: error.logPath } : {};
    return new BangerError('CANCELLED', 'cancelled and rolled back', { cause: error, ...log });
  }
  return asBangerError(error);
}

function asBangerError(error: unknown): BangerError {
  return error instanceof BangerError ? error : new BangerError('INTERNAL', messageOf(error), { cause: error });
}
