import { EventEmitter, on } from 'node:events';
import { BangerError, type ErrorBody, toErrorBody } from '../model/errors.ts';
import type { OperationRecord, OperationState, StoredEvent } from '../model/operation.ts';
import { resolveReference } from '../model/reference.ts';
import type { OperationStore } from '../store/operations.ts';
import type { Journal } from './pipeline.ts';
import { given } from '../lib/given.ts';

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

export type OperationsOptions = {
  store: OperationStore;
  newId: () => string;
  now: () => Date;
  /** Gets every event after it is stored. */
  onEvent?: (operation: OperationRecord, event: StoredEvent) => void;
  /** Gets every end. */
  onEnd?: (operation: OperationRecord) => void;
  /** Log file for an operation whose error names none. */
  logPathOf?: (operation: OperationRecord, state: 'failed' | 'cancelled') => string | undefined;
  /** Told when something of an operation could not be written down, as on a full disk. */
  onUnwritten?: (operation: OperationRecord, error: unknown) => void;
};

/** Runs verbs as operations: each has an id, a log that watchers replay from the start, and can be cancelled. */
export class Operations {
  readonly #options: OperationsOptions;
  readonly #live = new Map<string, LiveOperation>();
  /** Ended ones whose end the store did not take; it is told from here, and offered again at the next end. */
  readonly #unwritten = new Map<string, OperationRecord & { endedAt: string }>();

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** Writes the operation down, then lets `work` run; its failure becomes the operation's error. */
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
      // What a step does must not depend on whether its tale can be written: undoing and deleting make the room for it.
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

  /** @param reference id or start of an id @throws NOT_FOUND, AMBIGUOUS_REFERENCE */
  get(reference: string): OperationRecord {
    const find = (id: string): OperationRecord | undefined => this.#unwritten.get(id) ?? this.#options.store.find(id);
    return resolveReference('operation', { find, findByName: () => undefined, list: () => this.list() }, reference);
  }

  /** Asks a running operation to stop and roll back; nothing happens to one that has ended. */
  cancel(id: string): void {
    this.#live.get(id)?.controller.abort(new BangerError('CANCELLED', 'cancelled on request'));
  }

  /** Cancels all that runs and waits for the rollbacks, but not for ever: what is left then is for the next daemon. */
  async cancelAll(timeoutMs: number): Promise<void> {
    const running = [...this.#live.values()];
    for (const { controller } of running) controller.abort(new BangerError('CANCELLED', 'the daemon is shutting down'));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([Promise.all(running.map(({ settled }) => settled)), late]);
    clearTimeout(timer);
  }

  /** @returns the operation when it has ended. */
  async settled(id: string): Promise<OperationRecord> {
    await this.#live.get(id)?.settled;
    return this.get(id);
  }

  /** Every event from the first on, live until the operation ends or the signal fires. */
  async *watch(id: string, signal: AbortSignal): AsyncGenerator<StoredEvent> {
    const running = this.#live.get(id);
    // Listening begins in the same tick as the reading of the past, so that nothing falls between them.
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
