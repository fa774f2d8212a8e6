import type { DatabaseSync } from 'node:sqlite';
import type { ErrorBody } from '../model/errors.ts';
import type { OperationRecord, OperationState, StoredEvent } from '../model/operation.ts';

/** How many ended operations are kept for `operation list` and late watchers. */
const KEPT_OPERATIONS = 200;

/** The operation log: the operations, their steps, and how they ended. */
export type OperationStore = ReturnType<typeof createOperationStore>;

/** @param database opened by openDatabase */
export function createOperationStore(database: DatabaseSync) {
  const insert = database.prepare('INSERT INTO operations (id, verb, vm_id, vm_name, state, created_at) VALUES (?, ?, ?, ?, ?, ?)');
  const end = database.prepare('UPDATE operations SET state = ?, ended_at = ?, error = ? WHERE id = ?');
  // By rowid, which only grows: after the clock is set back, the newest operation must not look like the oldest.
  const selectAll = database.prepare('SELECT * FROM operations ORDER BY rowid DESC');
  const selectOne = database.prepare('SELECT * FROM operations WHERE id = ?');
  const selectRunning = database.prepare("SELECT * FROM operations WHERE state = 'running' ORDER BY rowid");
  const insertEvent = database.prepare('INSERT INTO operation_events (operation_id, seq, event) VALUES (?, ?, ?)');
  const selectEvents = database.prepare('SELECT event FROM operation_events WHERE operation_id = ? ORDER BY seq');
  const prune = database.prepare(
    "DELETE FROM operations WHERE state <> 'running' AND id NOT IN (SELECT id FROM operations ORDER BY rowid DESC LIMIT ?)",
  );
  return {
    insert(o: OperationRecord): void {
      insert.run(o.id, o.verb, o.vmId, o.vmName, o.state, o.createdAt);
    },
    /** Users act on the end, so only this write waits for the disk; it makes all earlier commits durable. */
    end(id: string, state: OperationState, endedAt: string, error: ErrorBody | null): void {
      database.exec('PRAGMA synchronous = FULL');
      end.run(state, endedAt, error === null ? null : JSON.stringify(error), id);
      database.exec('PRAGMA synchronous = NORMAL');
      prune.run(KEPT_OPERATIONS);
    },
    list: (): OperationRecord[] => selectAll.all().map((row) => toOperation(row)),
    find(id: string): OperationRecord | undefined {
      const row = selectOne.get(id);
      return row === undefined ? undefined : toOperation(row);
    },
    /** Operations that a dead daemon left unfinished, oldest first. */
    running: (): OperationRecord[] => selectRunning.all().map((row) => toOperation(row)),
    appendEvent(operationId: string, event: StoredEvent): void {
      insertEvent.run(operationId, event.seq, JSON.stringify(event));
    },
    events: (operationId: string): StoredEvent[] =>
      selectEvents.all(operationId).map((row) => JSON.parse(String(row['event'])) as StoredEvent),
  };
}

function toOperation(row: Record<string, unknown>): OperationRecord {
  const text = (name: string): string | null => (typeof row[name] === 'string' ? row[name] : null);
  const error = text('error');
  return {
    id: String(row['id']),
    verb: String(row['verb']),
    vmId: text('vm_id'),
    vmName: text('vm_name'),
    state: String(row['state']) as OperationState,
    createdAt: String(row['created_at']),
    endedAt: text('ended_at'),
    error: error === null ? null : (JSON.parse(error) as ErrorBody),
  };
}
