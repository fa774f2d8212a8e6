import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Directories } from '../lib/directories.ts';
import type { OperationRecord, StoredEvent } from '../model/operation.ts';
import { vmPaths } from '../model/paths.ts';
import type { Log } from './log.ts';
import { given } from '../lib/given.ts';

/** Logs every stage of every operation on a VM, one JSON line each, beside its disks. */
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

/** One line in the daemon's log for every stage that ended, with its duration. The start of a stage is only logged at debug level. */
export function logStage(log: Log, operation: OperationRecord, event: StoredEvent): void {
  if (event.type !== 'stage') return;
  const { id, verb, vmName } = operation;
  const { stage, status, durationMs } = event;
  const facts = { operation: id, verb, vm: vmName, stage, status, ...given({ durationMs }) };
  if (status === 'failed') log.warn(facts, 'stage failed');
  else if (status === 'done' || status === 'undone') log.info(facts, `stage ${status}`);
  else log.debug(facts, `stage ${status}`);
}

/** One line in the daemon's log for every operation that ended. */
export function logEnd(log: Log, operation: OperationRecord): void {
  const { id, verb, vmName, state, error, createdAt, endedAt } = operation;
  const durationMs = Date.parse(endedAt ?? createdAt) - Date.parse(createdAt);
  const facts = { operation: id, verb, vm: vmName, state, durationMs, ...(error === null ? {} : { error }) };
  if (state === 'failed') log.error(facts, 'operation failed');
  else log.info(facts, 'operation ended');
}

/**
 * @returns the most useful file about a failed operation: the output of its tools, the log of its VM, or the daemon's log; about a
 * cancelled one, the output of its tools so far
 */
export function logPathOf(directories: Directories, { id, vmId }: OperationRecord, state: 'failed' | 'cancelled'): string | undefined {
  const raw = operationLogPath(directories, id);
  if (state === 'cancelled') return existsSync(raw) ? raw : undefined;
  const events = vmId === null ? undefined : vmPaths(directories, { id: vmId }).eventLog;
  return [raw, events].find((path) => path !== undefined && existsSync(path)) ?? directories.daemonLogPath;
}

/** How many files of raw output are kept. */
const KEPT_RAW_LOGS = 20;
const RAW_LOG_BYTES = 8 * 1024 ** 2;

/** Opens the file for all output of an operation's tools, and removes files of old operations. */
export async function openOperationLog(
  host: Pick<Host, 'makePrivateDirectory' | 'namesByAge' | 'openRotatingLog' | 'removeTree'>,
  stateDirectory: string,
  operationId: string,
): Promise<{ path: string; write(line: string): void; close(): void }> {
  const directory = join(stateDirectory, OPERATION_LOGS);
  await host.makePrivateDirectory(directory);
  for (const name of (await host.namesByAge(directory)).slice(KEPT_RAW_LOGS - 1)) await host.removeTree(join(directory, name));
  const path = operationLogPath({ stateDirectory }, operationId);
  const log = host.openRotatingLog(path, RAW_LOG_BYTES);
  return { path, write: (line) => log.write(Buffer.from(`${line}\n`)), close: () => log.close() };
}

/** Below the state directory. */
export const OPERATION_LOGS = 'operation-logs';

function operationLogPath({ stateDirectory }: Pick<Directories, 'stateDirectory'>, operationId: string): string {
  return join(stateDirectory, OPERATION_LOGS, `${operationId}.log`);
}
