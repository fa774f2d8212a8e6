import type { Operation, OperationEvent } from '../api/schemas.ts';
import { followOperation, type OperationEnd, runOperation } from '../client/operations.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';
import { onInterrupt } from './interrupts.ts';
import { createStageView, type ProgressMode, type StageView } from './render/stages.ts';

/**
 * Begins an operation and shows its stages until it ends. Ctrl-C cancels it, then waits for its rollback.
 * @throws the operation's error; CANCELLED when it was cancelled
 */
export async function showOperation(cli: Cli, begin: () => Promise<Operation>, progress: ProgressMode): Promise<OperationEnd> {
  const cancelling = new AbortController();
  const stop = onInterrupt(() => {
    // On a terminal, the live line (and its ^C) makes room.
    cli.note(`${cli.stderr.isTTY === true ? '\r\u001b[2K' : ''}cancelling, rolling back…`);
    cancelling.abort();
  });
  let view: StageView | undefined;
  const beginShown = async (): Promise<Operation> => {
    const operation = await begin();
    view = createStageView(cli, progress);
    return operation;
  };
  try {
    return await runOperation(cli.api(), beginShown, { onEvent: (event) => view?.show(event), signal: cancelling.signal });
  } finally {
    view?.close();
    stop();
  }
}

/**
 * Begins an operation that nothing undoes, and shows its stages until it ends. Ctrl-C leaves it to the daemon.
 * @throws the operation's error; CANCELLED if the user left, with what continues
 */
export async function watchOperation(cli: Cli, begin: () => Promise<Operation>, progress: ProgressMode): Promise<OperationEnd> {
  const leaving = new AbortController();
  const stop = onInterrupt(() => leaving.abort());
  try {
    const { id, verb, vmName } = await begin();
    try {
      return await showStages(cli, id, progress, { signal: leaving.signal });
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
      throw new BangerError('CANCELLED', `stopped waiting; the ${verb.replace(/^.*\./, '')} of ${vmName ?? 'it'} continues`, {
        remedy: `banger operation watch ${id}`,
        details: { operation: id },
      });
    }
  } finally {
    stop();
  }
}

/**
 * Shows an operation from its first event to its last.
 * @param options.onLog gets its log lines, in every mode
 * @param options.signal ends the output, not the operation
 * @throws the operation's error; CANCELLED when it was cancelled
 */
export async function showStages(cli: Cli, id: string, progress: ProgressMode, options: ShowOptions = {}): Promise<OperationEnd> {
  const view = createStageView(cli, progress);
  const onEvent = (event: OperationEvent): void => {
    view.show(event);
    if (event.type === 'log') options.onLog?.(event.line);
  };
  try {
    return await followOperation(cli.api(), id, { onEvent, signal: options.signal });
  } finally {
    view.close();
  }
}

type ShowOptions = { onLog?: (line: string) => void; signal?: AbortSignal };
