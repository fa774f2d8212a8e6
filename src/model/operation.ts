import type { ErrorBody } from './errors.ts';

export type OperationState = 'running' | 'done' | 'failed' | 'cancelled';

/** Long work with stages, which can be watched, cancelled, and finished or undone after a crash. */
export type OperationRecord = {
  id: string;
  /** `vm.create`, `vm.start`, … */
  verb: string;
  vmId: string | null;
  vmName: string | null;
  state: OperationState;
  /** RFC 3339. */
  createdAt: string;
  endedAt: string | null;
  error: ErrorBody | null;
};

export type StageStatus = 'started' | 'done' | 'skipped' | 'failed' | 'undone';

/** An event of an operation, in order of `seq`; written before and after each step. */
export type StoredEvent =
  | { type: 'stage'; seq: number; atMs: number; stage: string; title: string; status: StageStatus; durationMs?: number }
  | { type: 'progress'; seq: number; atMs: number; stage: string; text: string; fraction?: number }
  | { type: 'log'; seq: number; atMs: number; line: string };
