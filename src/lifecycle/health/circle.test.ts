import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withoutCircle } from './circle.ts';

test('doctor never names itself as a remedy (9.3)', () => {
  const finding = { name: 'a', level: 'fail', reason: 'r' } as const;
  const report = withoutCircle({
    drivers: [{ remedy: 'banger doctor' }, { remedy: null }, { remedy: 'make' }],
    findings: [
      { ...finding, remedy: 'banger doctor' },
      { ...finding, remedy: 'banger doctor --fix' },
    ],
  });
  assert.deepEqual(
    [...report.drivers, ...report.findings].map(({ remedy }) => remedy),
    ['banger daemon logs', null, 'make', 'banger daemon logs', 'banger doctor --fix'],
  );
});

test('no check of a driver has itself for a remedy (9.3)', () => {
  const root = join(import.meta.dirname, '..', '..', 'drivers');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => /checks\.ts$|driver\.ts$/.test(path));
  assert.ok(files.length > 8);
  for (const path of files) assert.doesNotMatch(readFileSync(join(root, path), 'utf8'), /level: '\w+',[^}]*remedy: 'banger doctor'/, path);
});
