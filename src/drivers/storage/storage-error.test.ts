import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { run } from '../../host/spawn.ts';
import { storageError } from './storage-error.ts';

test('a full disk is reported as such, also if a child program met it (9.5)', async () => {
  assert.ok(existsSync('/dev/full'));
  const failure = await run(['cp', '--no-preserve=all', '/etc/passwd', '/dev/full']).catch((error: unknown) => error);
  assert.equal(storageError('cannot copy', failure).code, 'NO_SPACE');
  assert.equal(storageError('cannot copy', Object.assign(new Error('write'), { code: 'EDQUOT' })).code, 'NO_SPACE');
  assert.equal(storageError('cannot copy', new Error('cp ended with status 1')).code, 'STORAGE_FAILED');
});
