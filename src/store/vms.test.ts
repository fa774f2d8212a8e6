import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vmRecord } from '../../test/support/daemon/vm-record.ts';
import { openStore } from './store.ts';

test('a record moves as the table of states allows, with what changes by it, and else stays as it is (3.8)', (t) => {
  const { vms, close } = openStore(':memory:');
  t.after(close);
  const { id } = vmRecord({ state: 'creating' });
  vms.insert(vmRecord({ state: 'creating' }));
  assert.equal(vms.move(id, 'stopped', { lastError: 'x' }).lastError, 'x');
  assert.throws(() => vms.move(id, 'running', { lastError: 'y' }), {
    code: 'INTERNAL',
    message: 'VM web is stopped and cannot become running',
  });
  assert.throws(() => vms.move('f'.repeat(32), 'deleting'), { code: 'NOT_FOUND' });
  vms.move(id, 'deleting');
  assert.throws(() => vms.move(id, 'stopped'), { code: 'INTERNAL' });
  assert.deepEqual([vms.find(id)?.state, vms.find(id)?.lastError], ['deleting', 'x']);
});
