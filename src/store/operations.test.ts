import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationRecord } from '../model/operation.ts';
import { openStore } from './store.ts';

test('the newest operations are kept and listed first, also if the clock was set back between them (1.4)', () => {
  const { operations, close } = openStore(':memory:');
  const run = (id: string, createdAt: string): void => {
    const operation: OperationRecord = {
      id,
      verb: 'vm.start',
      vmId: null,
      vmName: null,
      state: 'running',
      createdAt,
      endedAt: null,
      error: null,
    };
    operations.insert(operation);
    operations.end(id, 'done', createdAt, null);
  };
  for (let n = 0; n < 250; n++) run(`future${n}`, '2036-01-01T00:00:00Z');
  run('now', '2026-01-01T00:00:00Z');
  assert.equal(operations.find('now')?.state, 'done');
  assert.deepEqual([operations.list().length, operations.list()[0]?.id, operations.list()[1]?.id], [200, 'now', 'future249']);
  close();
});
