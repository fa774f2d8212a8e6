import { EventEmitter, on } from 'node:events';
import { BangerError, type ErrorBody, toErrorBody } from '../model/errors.ts';
import type { OperationRecord, OperationState, StoredEvent } from '../model/operation.ts';
import type { OperationStore } from '../store/operations.ts';
import type { Journal } from './pipeline.ts';

/** What a verb gets while it runs. */
export type OperationHandle = {
  id: string;
  signal: AbortSignal;
  journal: Journal;
  progress(stage: string, text: string, fraction?: number): void;
  log(line: string): void;
};

type LiveOperation = { controller: AbortController; emitter: EventEmitter; settled: Promise<void> };
type NewEvent = StoredEvent extends infer E ? (E extends unknown ? Omit<E, 'seq' | 'atMs'> : never) : never;

export type Operations = ReturnType<typeof createOperations>;

/**
 * Runs verbs as operations: each has an id, a log that watchers replay from the start, and can be cancelled (1.4).
 */
export function createOperations(options: {
  store: OperationStore;
  newId: () => string;
  now: () => Date;
  /** Told of every event after it is stored. */
  onEvent?: (operation: OperationRecord, event: StoredEvent) => void;
  /** Told of every end. */
  onEnd?: (operation: OperationRecord) => void;
}) {
  const { store, now } = options;
  const live = new Map<string, LiveOperation>();

  function begin(verb: string, vm: { id: string; name: string } | null, work: (handle: OperationHandle) => Promise<void>): OperationRecord {
    const record: OperationRecord = {
      id: options.newId(),
      verb,
      vmId: vm?.id ?? null,
      vmName: vm?.name ?? null,
      state: 'running',
      createdAt: now().toISOString(),
      endedAt: null,
      error: null,
    };
    store.insert(record);
    const controller = new AbortController();
    const emitter = new EventEmitter();
    emitter.setMaxListeners(0);
    const handle = makeHandle(record, controller.signal, emitter);
    const settled = execute(record, handle, work).then(() => {
      live.delete(record.id);
      emitter.emit('end');
    });
    live.set(record.id, { controller, emitter, settled });
    return record;
  }

  function makeHandle(record: OperationRecord, signal: AbortSignal, emitter: EventEmitter): OperationHandle {
    const startedAt = performance.now();
    let seq = 0;
    const append = (event: NewEvent): void => {
      const stored = { ...event, seq: seq++, atMs: Math.round(performance.now() - startedAt) } as StoredEvent;
      store.appendEvent(record.id, stored);
      options.onEvent?.(record, stored);
      emitter.emit('event', stored);
    };
    return {
      id: record.id,
      signal,
      journal: (step, status, durationMs) =>
        append({
          type: 'stage',
          stage: step.name,
          title: step.title,
          status,
          ...(durationMs === undefined ? {} : { durationMs: Math.round(durationMs * 10) / 10 }),
        }),
      progress: (stage, text, fraction) => append({ type: 'progress', stage, text, ...(fraction === undefined ? {} : { fraction }) }),
      log: (line) => append({ type: 'log', line }),
    };
  }

  async function execute(
    record: OperationRecord,
    handle: OperationHandle,
    work: (handle: OperationHandle) => Promise<void>,
  ): Promise<void> {
    let state: OperationState = 'done';
    let error: ErrorBody | null = null;
    try {
      await work(handle);
    } catch (thrown) {
      state = thrown instanceof BangerError && thrown.code === 'CANCELLED' ? 'cancelled' : 'failed';
      error = toErrorBody(thrown);
    }
    const endedAt = now().toISOString();
    store.end(record.id, state, endedAt, error);
    options.onEnd?.({ ...record, state, endedAt, error });
  }

  return {
    begin,
    list: (): OperationRecord[] => store.list(),
    /** @throws NOT_FOUND */
    get(id: string): OperationRecord {
      const found = store.find(id);
      if (found === undefined) throw new BangerError('NOT_FOUND', `there is no operation ${id}`, { remedy: 'banger operation list' });
      return found;
    },
    /** Asks a running operation to stop and roll back; nothing happens to one that has ended. */
    cancel(id: string): void {
      live.get(id)?.controller.abort(new BangerError('CANCELLED', 'cancelled on request'));
    },
    /** @returns the operation when it has ended. */
    async settled(id: string): Promise<OperationRecord> {
      await live.get(id)?.settled;
      const found = store.find(id);
      if (found === undefined) throw new BangerError('NOT_FOUND', `there is no operation ${id}`);
      return found;
    },
    /** Every event from the first on, live until the operation ends or the signal fires. */
    async *watch(id: string, signal: AbortSignal): AsyncGenerator<StoredEvent> {
      const running = live.get(id);
      if (running === undefined) {
        yield* store.events(id);
        return;
      }
      // Listening begins in the same tick as the reading of the past, so that nothing falls between them.
      const fresh = on(running.emitter, 'event', { signal, close: ['end'] });
      yield* store.events(id);
      try {
        for await (const [event] of fresh) yield event as StoredEvent;
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    /** Cancels everything and waits; for the daemon's end. */
    async drain(): Promise<void> {
      await Promise.all([...live.values()].map((operation) => operation.settled));
    },
  };
}
