import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vmRecord } from '../../test/support/daemon/vm-record.ts';
import { hiddenName } from '../model/hidden.ts';
import { resolveReference } from '../model/reference.ts';
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

test('what banger keeps for itself has an id and an address, and is in no list and under no name that a user asks for (10.2)', (t) => {
  const { vms, close } = openStore(':memory:');
  t.after(close);
  const web = vmRecord({});
  const id = 'b'.repeat(32);
  const spare = vmRecord({ id, name: hiddenName('spare', { id }), state: 'spare', networkIndex: 2, createdAt: '2026-01-02T00:00:00Z' });
  vms.insert(web);
  vms.insert(spare);
  assert.deepEqual([vms.list(), vms.listAll()], [[web], [web, spare]]);
  assert.deepEqual([vms.find(id), vms.findByName('spare.bbbbbbbb')], [spare, undefined]);
  assert.deepEqual([...vms.networkIndexes()], [1, 2]);
  for (const reference of [id, 'bbbb', 'spare.bbbbbbbb']) {
    assert.throws(() => resolveReference('VM', vms.seen, reference), { code: 'NOT_FOUND' }, reference);
  }
  const claimed = vms.move(id, 'creating', { name: 'db', labels: { a: 'b' } });
  assert.deepEqual([vms.list(), resolveReference('VM', vms.seen, 'bbbb')], [[web, claimed], claimed]);
  assert.throws(() => vms.update(id, { name: 'web' }), { code: 'NAME_TAKEN' });
});
