import { appendFileSync, existsSync } from 'node:fs';
import type { OperationRecord, StoredEvent } from '../../model/operation.ts';
import type { Log } from '../log.ts';

/** Every stage of every operation on a VM, one JSON line each, beside its disks. */
export function keepVmEvent(
  pathsOf: (vm: { id: string }) => { logDirectory: string; eventLog: string },
  operation: OperationRecord,
  event: StoredEvent,
): void {
  if (operation.vmId === null || event.type === 'progress') return;
  const { logDirectory, eventLog } = pathsOf({ id: operation.vmId });
  if (!existsSync(logDirectory)) return;
  const line = { time: new Date().toISOString(), operation: operation.id, verb: operation.verb, ...event };
  appendFileSync(eventLog, `${JSON.stringify(line)}\n`, { mode: 0o600 });
}

/** One line in the daemon's log for every end. */
export function logEnd(log: Log, operation: OperationRecord): void {
  const { id, verb, vmName, state, error, createdAt, endedAt } = operation;
  const durationMs = Date.parse(endedAt ?? createdAt) - Date.parse(createdAt);
  const facts = { operation: id, verb, vm: vmName, state, durationMs, ...(error === null ? {} : { error }) };
  if (state === 'failed') log.error(facts, 'operation failed');
  else log.info(facts, 'operation ended');
}
