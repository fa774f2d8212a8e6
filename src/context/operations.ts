import { EventEmitter, on } from 'node:events';
import { BangerError, type ErrorBody, toErrorBody } from '../model/errors.ts';
import type { OperationRecord, OperationState, StoredEvent } from '../model/operation.ts';
import { resolveReference } from '../model/reference.ts';
import type { OperationStore } from '../store/operations.ts';
import type { Journal } from './pipeline.ts';
import { given } from '../lib/given.ts';

/** The interface of a running verb to its operation. */
export type OperationHandle = {
  id: string;
  signal: AbortSignal;
  journal: Journal;
  progress(stage: string, text: string, fraction?: number): void;
  log(line: string): void;
};

type LiveOperation = { controller: AbortController; emitter: EventEmitter; settled: Promise<void> };
type NewEvent = StoredEvent extends infer E ? (E extends unknown ? Omit<E, 'seq' | 'atMs'> : never) : never;

export type OperationsOptions = {
  store: OperationStore;
  newId: () => string;
  now: () => Date;
  /** Gets every event once it is stored. */
  onEvent?: (operation: OperationRecord, event: StoredEvent) => void;
  /** Gets every operation that ended. */
  onEnd?: (operation: OperationRecord) => void;
  /** Log file for an operation whose error names none. */
  logPathOf?: (operation: OperationRecord, state: 'failed' | 'cancelled') => string | undefined;
  /** Gets the error if an operation could not be recorded, as on a full disk. */
  onUnwritten?: (operation: OperationRecord, error: unknown) => void;
};

/** Runs verbs as operations: each has an id, a log that watchers replay from the start, and can be cancelled. */
export class Operations {
  readonly #options: OperationsOptions;
  readonly #live = new Map<string, LiveOperation>();
  /** Operations whose end the store did not accept. They are answered from here, and stored again at the next end. */
  readonly #unwritten = new Map<string, OperationRecord & { endedAt: string }>();

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** Records the operation, then runs `work`; its failure becomes the operation's error. */
  begin(verb: string, vm: { id: string; name: string } | null, work: (handle: OperationHandle) => Promise<void>): OperationRecord {
    const record: OperationRecord = {
      id: this.#options.newId(),
      verb,
      vmId: vm?.id ?? null,
      vmName: vm?.name ?? null,
      state: 'running',
      createdAt: this.#options.now().toISOString(),
      endedAt: null,
      error: null,
    };
    this.#options.store.insert(record);
    const controller = new AbortController();
    const emitter = new EventEmitter();
    emitter.setMaxListeners(0);
    const settled = this.#execute(record, this.#handle(record, controller.signal, emitter), work).then(() => {
      this.#live.delete(record.id);
      emitter.emit('end');
    });
    this.#live.set(record.id, { controller, emitter, settled });
    return record;
  }

  #handle(record: OperationRecord, signal: AbortSignal, emitter: EventEmitter): OperationHandle {
    const startedAt = performance.now();
    let seq = 0;
    const append = (event: NewEvent): void => {
      const stored: StoredEvent = { ...event, seq: seq++, atMs: Math.round(performance.now() - startedAt) };
      // A step must not fail because its event cannot be stored: undoing and deleting make room for the store.
      this.#write(record, () => {
        this.#options.store.appendEvent(record.id, stored);
        this.#options.onEvent?.(record, stored);
      });
      emitter.emit('event', stored);
    };
    return {
      id: record.id,
      signal,
      journal: ({ name, title }, status, durationMs) =>
        append({ type: 'stage', stage: name, title, status, ...(durationMs === undefined ? {} : { durationMs: round(durationMs) }) }),
      progress: (stage, text, fraction) => append({ type: 'progress', stage, text, ...given({ fraction }) }),
      log: (line) => append({ type: 'log', line }),
    };
  }

  async #execute(record: OperationRecord, handle: OperationHandle, work: (handle: OperationHandle) => Promise<void>): Promise<void> {
    let state: OperationState = 'done';
    let error: ErrorBody | null = null;
    try {
      await work(handle);
    } catch (thrown) {
      state = thrown instanceof BangerError && thrown.code === 'CANCELLED' ? 'cancelled' : 'failed';
      error = toErrorBody(thrown);
      const logPath = error.logPath ?? this.#options.logPathOf?.(record, state);
      if (logPath !== undefined) error = { ...error, logPath };
    }
    const endedAt = this.#options.now().toISOString();
    const ended = { ...record, state, endedAt, error };
    this.#unwritten.set(record.id, ended);
    for (const one of this.#unwritten.values()) {
      this.#write(one, () => {
        this.#options.store.end(one.id, one.state, one.endedAt, one.error);
        this.#unwritten.delete(one.id);
      });
    }
    this.#options.onEnd?.(ended);
  }

  #write(record: OperationRecord, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#options.onUnwritten?.(record, error);
    }
  }

  list(): OperationRecord[] {
    return this.#options.store.list().map((stored) => this.#unwritten.get(stored.id) ?? stored);
  }

  /** @param reference id or beginning of an id @throws NOT_FOUND, AMBIGUOUS_REFERENCE */
  get(reference: string): OperationRecord {
    const find = (id: string): OperationRecord | undefined => this.#unwritten.get(id) ?? this.#options.store.find(id);
    return resolveReference('operation', { find, findByName: () => undefined, list: () => this.list() }, reference);
  }

  /** Asks a running operation to stop and roll back; has no effect on one that has ended. */
  cancel(id: string): void {
    this.#live.get(id)?.controller.abort(new BangerError('CANCELLED', 'cancelled on request'));
  }

  /** Cancels all running operations and waits for the rollbacks, up to a time limit. The next daemon does the rest. */
  async cancelAll(timeoutMs: number): Promise<void> {
    const running = [...this.#live.values()];
    for (const { controller } of running) controller.abort(new BangerError('CANCELLED', 'the daemon is shutting down'));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([Promise.all(running.map(({ settled }) => settled)), late]);
    clearTimeout(timer);
  }

  /** @returns the operation once it has ended */
  async settled(id: string): Promise<OperationRecord> {
    await this.#live.get(id)?.settled;
    return this.get(id);
  }

  /** Every event from the first on, live until the operation ends or the signal fires. */
  async *watch(id: string, signal: AbortSignal): AsyncGenerator<StoredEvent> {
    const running = this.#live.get(id);
    // Listening begins in the same tick as reading the past, so that no event falls between.
    const fresh = running === undefined ? undefined : on(running.emitter, 'event', { signal, close: ['end'] });
    yield* this.#options.store.events(id);
    if (fresh === undefined) return;
    try {
      for await (const [event] of fresh) yield event as StoredEvent;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** To a tenth of a millisecond. */
function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
