import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkPrograms } from './check-programs.ts';
import { readSources } from './source-tree.ts';

const LISTED = { file: 'src/images/listed.ts', programs: ['cp'], because: 'it copies' };

const problemsOf = (...files: [path: string, text: string][]): string[] =>
  checkPrograms([...files.map(([path, text]) => ({ path, text })), { path: LISTED.file, text: 'await host.run([]);' }], [LISTED]).problems;

for (const text of [
  "await host.run(['e2fsck', path]);",
  "await this.#host.run(['xz']);",
  'await host\n    .run(argv)',
  'const start = context.host.spawnDetached;',
  "import { run } from '../host/spawn.ts';",
  "import { type RunOptions, run } from './spawn.ts';",
]) {
  test(`a new file with ${JSON.stringify(text)} must say why it is safe (9.4, 12.8)`, () => {
    assert.match(problemsOf(['src/images/new.ts', text]).join(), /^src\/images\/new\.ts:1: it starts programs; use runConfined/);
  });
}

test('confined programs, types, comments and tests may stand anywhere, and a line without a file is found (9.4, 12.8)', () => {
  const fine: [string, string][] = [
    ['src/images/a.ts', "await host.runConfined(['e2fsck'], {});"],
    ['src/images/b.ts', "import type { CommandOutcome } from '../host/spawn.ts';"],
    ['src/images/c.ts', '// host.run is for others\n/** host.run */'],
    ['src/images/d.test.ts', "await host.run(['e2fsck']);"],
    ['src/store/e.ts', 'insert.run(1);'],
  ];
  assert.deepEqual(problemsOf(...fine), []);
  assert.match(checkPrograms([{ path: 'src/a.ts', text: '' }], [LISTED]).problems.join(), /starts no program/);
});

test('every file of src that starts programs as they are says why (9.4, 12.8)', () => {
  const result = checkPrograms(readSources(join(import.meta.dirname, '..'), ['src'], ['.ts']));
  assert.deepEqual(result.problems, []);
  assert.ok(result.scanned > 100);
});
