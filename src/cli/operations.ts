import type { Operation, OperationEvent } from '../api/schemas.ts';
import { BangerError, fromErrorBody } from '../model/errors.ts';
import type { Cli } from './cli.ts';
import { onInterrupt } from './interrupts.ts';
import { createStageView, type ProgressMode } from './render/stages.ts';

export type OperationEnd = Extract<OperationEvent, { type: 'end' }>;

/**
 * Begins an operation and shows its stages to the end. Ctrl-C cancels it, then waits for its rollback (1.4).
 * @throws the operation's error; CANCELLED when it was cancelled
 */
export async function runOperation(cli: Cli, begin: () => Promise<Operation>, progress: ProgressMode): Promise<OperationEnd> {
  let id: string | undefined;
  let cancelled = false;
  const cancel = (): void => {
    if (id !== undefined && cancelled)
      cli
        .api()
        .cancelOperation(id)
        .catch(() => undefined);
  };
  const stop = onInterrupt(() => {
    cancelled = true;
    // On a terminal the line that lives there (and its ^C) makes room.
    cli.note(`${cli.stderr.isTTY === true ? '\r\u001b[2K' : ''}cancelling, rolling back…`);
    cancel();
  });
  try {
    id = (await begin()).id;
    // The interrupt may have come before there was anything to cancel.
    cancel();
    return await followOperation(cli, id, progress);
  } finally {
    stop();
  }
}

/**
 * Begins an operation that nothing takes back, and shows its stages to the end. Ctrl-C leaves it to the daemon.
 * @throws the operation's error; CANCELLED when the user left, which says what goes on
 */
export async function watchOperation(cli: Cli, begin: () => Promise<Operation>, progress: ProgressMode): Promise<OperationEnd> {
  const leaving = new AbortController();
  const stop = onInterrupt(() => leaving.abort());
  try {
    const { id, verb, vmName } = await begin();
    try {
      return await followOperation(cli, id, progress, { signal: leaving.signal });
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
      throw new BangerError('CANCELLED', `left; the ${verb.replace(/^.*\./, '')} of ${vmName ?? 'it'} goes on`, {
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
 * @param options.onLog hears what it said, in every mode
 * @param options.signal ends the showing, not the operation
 * @throws the operation's error; CANCELLED when it was cancelled
 */
export async function followOperation(cli: Cli, id: string, progress: ProgressMode, options: FollowOptions = {}): Promise<OperationEnd> {
  const view = createStageView(cli, progress);
  let end: OperationEnd | undefined;
  try {
    for await (const event of await cli.api().operationEvents(id, options.signal)) {
      view.show(event);
      if (event.type === 'log') options.onLog?.(event.line);
      if (event.type === 'end') end = event;
    }
  } finally {
    view.close();
  }
  if (end === undefined) {
    throw new BangerError('DAEMON_UNREACHABLE', 'the daemon went away while it worked', {
      remedy: `banger operation watch ${id}`,
      details: { operation: id, absent: false },
    });
  }
  if (end.state === 'done') return end;
  if (end.error !== null) throw fromErrorBody(errorBodyOf(end.error));
  throw new BangerError(
    end.state === 'cancelled' ? 'CANCELLED' : 'INTERNAL',
    end.state === 'cancelled' ? 'cancelled, everything was rolled back' : 'the operation failed',
  );
}

type FollowOptions = { onLog?: (line: string) => void; signal?: AbortSignal };

type WireError = NonNullable<OperationEnd['error']>;

/** The schema's optional members may be present and undefined; the error's may not. */
function errorBodyOf(error: WireError): Parameters<typeof fromErrorBody>[0] {
  return Object.fromEntries(Object.entries(error).filter(([, value]) => value !== undefined)) as Parameters<typeof fromErrorBody>[0];
}
