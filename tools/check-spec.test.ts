import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkSpec, parseRequirements, proofsOf } from './check-spec.ts';

const PAGE = '- [ ] 1.1 first\n- [x] 1.2 second\n- [ ] 2.1 third\n';
const testFile = (text: string, path = 'src/dns/server.test.ts') => ({ path, text });

test('coverage counts numbers that tests name, and lists the others', () => {
  const result = checkSpec(PAGE, [testFile("test('x (1.2, 2.1)', () => {});")]);
  assert.deepEqual(result.problems, []);
  assert.deepEqual(result.untested, ['1.1']);
  assert.match(result.summary, /^2 of 3 requirements have a test, 1 are done/);
});

test('a done requirement without a test is found', () => {
  assert.match(checkSpec(PAGE, [testFile("test('x (1.1)', f);")]).problems.join(), /requirements\.md:2: 1\.2 is marked done/);
});

test('a test that names an unknown number is found', () => {
  const { problems } = checkSpec(PAGE, [testFile("test('x (1.2)', f); test('y (7.9)', f);")]);
  assert.deepEqual(problems.length, 1);
  assert.match(problems[0] ?? '', /server\.test\.ts:1: a test names 7\.9/);
});

test('a gap or a repetition in the numbers is found', () => {
  assert.match(checkSpec('- [ ] 1.1 a\n- [ ] 1.3 b\n', []).problems.join(), /1\.3 does not follow 1\.1/);
  assert.match(checkSpec('- [ ] 1.1 a\n- [ ] 1.1 b\n', []).problems.join(), /1\.1 does not follow 1\.1/);
});

test('skipped tests and numbers inside a name prove nothing', () => {
  assert.deepEqual(proofsOf(testFile("test.skip('x (1.1)', f); test('QEMU (7.2) starts', f); const s = 'y (1.1)';")), []);
});

test('names in template literals, nested tests, C and shell count', () => {
  const numbers = (text: string, path?: string) => proofsOf(testFile(text, path)).map(({ number }) => number);
  assert.deepEqual(numbers('test(`${name} x (1.1)`, f);\nawait t.test("it\'s (2.1)", f);'), ['1.1', '2.1']);
  assert.deepEqual(numbers('check(ok, "a short head is refused (7.2)");', 'agent/test/http.c'), ['7.2']);
  assert.deepEqual(numbers("pass 'boots without init (7.2)'", 'agent/test/run.sh'), ['7.2']);
});

test('no page or no test counts as zero files, which fails the check', () => {
  assert.equal(checkSpec('', [testFile('')]).scanned, 0);
  assert.equal(checkSpec(PAGE, []).scanned, 0);
});

test('the page holds all chapters and all of their numbers', () => {
  const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'requirements.md'), 'utf8');
  const perChapter = Object.groupBy(parseRequirements(page), ({ number }) => number.split('.')[0] ?? '');
  assert.deepEqual(
    Object.values(perChapter).map((list) => list?.length),
    [7, 6, 13, 4, 4, 4, 4, 8, 6, 8, 10, 8],
  );
});
