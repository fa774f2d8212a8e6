import type { Operations } from '../context/operations.ts';

/** How long an attached operation may wait for its first watcher. */
const FIRST_WATCHER_MS = 5000;

export type Attachments = ReturnType<typeof createAttachments>;

/** Ties operations to the clients that began them: if the last watcher leaves before the end, the operation is cancelled. */
export function createAttachments(operations: Pick<Operations, 'cancel'>) {
  const watchers = new Map<string, number>();
  return {
    /** Call when a client begins an operation that must end with the client. */
    attach(operationId: string): void {
      watchers.set(operationId, 0);
      setTimeout(() => {
        if (watchers.get(operationId) === 0) operations.cancel(operationId);
      }, FIRST_WATCHER_MS).unref();
    },
    /** Lets the operation continue without watchers. */
    release(operationId: string): void {
      watchers.delete(operationId);
    },
    watcherCame(operationId: string): void {
      const count = watchers.get(operationId);
      if (count !== undefined) watchers.set(operationId, count + 1);
    },
    watcherLeft(operationId: string): void {
      const count = watchers.get(operationId);
      if (count === undefined) return;
      watchers.set(operationId, count - 1);
      // Cancelling an operation that has ended does nothing.
      if (count <= 1) operations.cancel(operationId);
    },
  };
}
