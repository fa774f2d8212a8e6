// Long work of the daemon: it does not need a client, and clients follow its events.
import type { Operation, OperationEvent } from '../api/schemas.ts';
import { BangerError, fromErrorBody } from '../model/errors.ts';
import type { Api } from './api.ts';

export type OperationEnd = Extract<OperationEvent, { type: 'end' }>;

export type FollowOptions = {
  /** Gets every event, from the first on. */
  onEvent?: ((event: OperationEvent) => void) | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Begins an operation and waits for its end. An abort cancels it and then waits for its rollback.
 * @throws the operation's error; CANCELLED when it was cancelled
 */
export async function runOperation(
  api: Api,
  begin: () => Promise<Operation>,
  { onEvent, signal }: FollowOptions = {},
): Promise<OperationEnd> {
  let id: string | undefined;
  const cancel = (): void => {
    if (id !== undefined) api.cancelOperation(id).catch(() => undefined);
  };
  signal?.addEventListener('abort', cancel);
  try {
    id = (await begin()).id;
    // The abort may have come before the operation existed.
    if (signal?.aborted === true) cancel();
    return await followOperation(api, id, { onEvent });
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/**
 * Waits for the end of any operation.
 * @param options.signal ends the wait, not the operation
 * @throws the operation's error; CANCELLED if the operation or the wait was cancelled
 */
export async function followOperation(api: Api, id: string, { onEvent, signal }: FollowOptions = {}): Promise<OperationEnd> {
  let end: OperationEnd | undefined;
  for await (const event of await api.operationEvents(id, signal)) {
    onEvent?.(event);
    if (event.type === 'end') end = event;
  }
  if (end === undefined) {
    throw new BangerError('DAEMON_UNREACHABLE', 'the daemon ended during the operation', {
      remedy: `banger operation watch ${id}`,
      details: { operation: id, absent: false },
    });
  }
  if (end.state === 'done') return end;
  if (end.error !== null) throw fromErrorBody(end.error);
  throw new BangerError(
    end.state === 'cancelled' ? 'CANCELLED' : 'INTERNAL',
    end.state === 'cancelled' ? 'cancelled and rolled back' : 'the operation failed',
  );
}
