import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTidy, largeFileProblems } from './check-tidy.ts';
import { WORD_RULES } from './tidy-rules.ts';

const problemsOf = (path: string, text: string): string[] => checkTidy([{ path, text }]).problems;
const lines = (count: number, line: string): string => `${line}\n`.repeat(count);

const PLANTED: [path: string, text: string, expected: RegExp][] = [
  ['src/lifecycle/vm/set.ts', "import { realHost } from '../../host/host.ts';", /take a Host as a parameter/],
  ['src/dns/server.ts', "throw new Error('x');", /:1: `throw new Error\(`; throw a BangerError/],
  ['src/dns/server.ts', "if (e.message.includes('x')) f();", /decide by code/],
  ['src/dns/server.ts', 'const x = y as any;', /name the type/],
  ['src/client/send.ts', "import { type Socket, connect } from 'node:net';", /connectOwnSocket/],
  ['src/client/send.ts', 'const socket = createConnection(path);', /connectOwnSocket/],
  ['src/dns/server.ts', '\n// @ts-ignore\n', /:2: .*mend the type/],
  ['src/dns/server.ts', "console.log('x');", /use the logger/],
  ['src/dns/server.ts', "throw x({ remedy: 'see it: banger vm list' });", /as it stands/],
  ['src/dns/server.ts', '  remedy: `banger vm stop ${name}, then again`,', /as it stands/],
  ['docs/networking.md', 'text\nTODO: write', /:2: `TODO`/],
  ['README.md', 'This is coming soon.', /describe what is/],
  ['src/dns/server.ts', '// see issue 12', /says? what happens|say what happens/],
  ['docs/install.md', 'from registry.example.org', /name no package host/],
  ['Makefile', 'cp /home/someone/x .', /path of one machine/],
  ['agent/exec.c', '  strcpy(a, b);', /bounded form/],
  ['src/dns/server.ts', '/** Answers for names of VMs (6.3, 12.8). */', /only names of tests/],
  ['src/dns/utils.ts', '', /file name; name the file after/],
  ['src/dns/index.ts', '', /barrels/],
  ['src/dns/DnsServer.ts', '', /lower-case/],
  ['src/dns/server.ts', lines(401, '// x'), /401 lines; split the file/],
  ['forwarder/main.c', lines(401, '/* x */'), /401 lines; split the file/],
  ['src/dns/server.ts', `function answer() {\n${lines(69, '  f();')}}`, /:1: answer has 71 lines/],
  ['src/dns/server.ts', `const answer = () => {\n${lines(69, '  f();')}};`, /:1: answer has 71 lines/],
  ['src/dns/server.ts', `class A {\n  answer() {\n${lines(69, '  f();')}  }\n}`, /:2: answer has 71 lines/],
  ['agent/exec.c', `static int\nrun(int a)\n{\n${lines(69, '  f();')}}`, /:2: run has 72 lines/],
  ['src/dns/server.ts', 'try { f(); } catch {}', /empty catch/],
];

for (const [path, text, expected] of PLANTED) {
  test(`${path} with ${JSON.stringify(text.slice(0, 40))} is found`, () => {
    const problems = problemsOf(path, text);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', expected);
  });
}

const FINE: [path: string, text: string][] = [
  ['src/lib/size.ts', "throw new Error('x');"],
  ['src/dns/server.test.ts', "throw new Error('x');"],
  ['src/dns/server.ts', '  remedy: `banger vm stop ${name} && banger vm start ${name}`,'],
  ['src/dns/server.ts', "  remedy: 'reinstall banger, or free some space',"],
  ['src/dns/server.test.ts', "test('a name is answered (6.3)', run);"],
  ['src/drivers/network/conformance.ts', "test('ensure may be called again (6.1)', run);"],
  ['src/cli/output.ts', "console.log('x');"],
  ['src/dns/server.ts', "import { type Socket, createServer } from 'node:net';"],
  ['src/dns/server.ts', lines(400, '// x')],
  ['src/dns/server.ts', `function answer() {\n${lines(68, '  f();')}}`],
  ['src/dns/server.test.ts', `describe('x', () => {\n${lines(100, '  f();')}});`],
  ['src/dns/server.ts', 'try { f(); } catch {\n  // Gone already.\n}'],
  ['agent/exec.c', `struct a {\n${lines(90, '  int b;')}};\n\nstatic int f(void);\n\nint g(void)\n{\n}`],
];

for (const [path, text] of FINE) {
  test(`${path} with ${JSON.stringify(text.slice(0, 40))} is fine`, () => assert.deepEqual(problemsOf(path, text), []));
}

test('every rule about words says what to do instead', () => {
  for (const rule of WORD_RULES) assert.ok(rule.instead.length > 10, String(rule.pattern));
});

test('files above the aim are counted, and no problem', () => {
  const result = checkTidy([{ path: 'src/dns/server.ts', text: lines(201, '// x') }]);
  assert.deepEqual(result.problems, []);
  assert.equal(result.warnings.length, 1);
});

test('looking at no file counts as zero files, which fails the check', () => {
  assert.equal(checkTidy([]).scanned, 0);
});

test('a file that is too large for a repository is found, and one that a tool writes is not', () => {
  const problems = largeFileProblems([
    { path: 'images/root.ext4', bytes: 200_000 },
    { path: 'package-lock.json', bytes: 200_000 },
    { path: 'README.md', bytes: 20_000 },
  ]);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /^images\/root\.ext4:1: 200000 bytes/);
});
