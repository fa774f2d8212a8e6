// Compares docs/requirements.md with the names of the tests: every done requirement has a test, and every test names a requirement.
import { join } from 'node:path';
import { type SourceFile, isTest, readSources } from './source-tree.ts';
import { type CheckResult, concludeCheck } from './check-result.ts';

const REQUIREMENTS = 'docs/requirements.md';

export type Requirement = { number: string; done: boolean; line: number };

/** @returns the requirements in the order of the page */
export function parseRequirements(text: string): Requirement[] {
  return text.split('\n').flatMap((line, at) => {
    const match = /^- \[([ x])\] (\d+\.\d+) \S/.exec(line);
    return match === null ? [] : [{ number: match[2] ?? '', done: match[1] === 'x', line: at + 1 }];
  });
}

/** A test that names a requirement. */
export type Proof = { number: string; path: string };

/**
 * Finds the numbers at the end of test names. In TypeScript these are the names given to test, it, describe and suite,
 * unless they are skipped; in C and shell, string literals that end in a number in parentheses.
 */
export function proofsOf({ path, text }: SourceFile): Proof[] {
  const names = path.endsWith('.ts') ? namesInTypeScript(text) : namesInStrings(text);
  return names.flatMap((name) => {
    const numbers = /\((\d+\.\d+(?:, ?\d+\.\d+)*)\)$/.exec(name.trim())?.[1]?.split(/, ?/) ?? [];
    return numbers.map((number) => ({ number, path }));
  });
}

function namesInTypeScript(text: string): string[] {
  const calls = text.matchAll(/\b(?:test|it|describe|suite)(?:\.(\w+))?\(\s*(['"`])((?:\\.|(?!\2)[^\\])*)\2/g);
  return [...calls].filter(([, modifier]) => modifier !== 'skip' && modifier !== 'todo').map(([, , , name = '']) => name);
}

function namesInStrings(text: string): string[] {
  return [...text.matchAll(/(["'])((?:(?!\1)[^\\\n])*\(\d+\.\d+(?:, ?\d+\.\d+)*\))\1/g)].map(([, , name = '']) => name);
}

/** The result of check-spec; `untested` are the numbers that no test names. */
export type SpecResult = CheckResult & { untested: string[] };

/**
 * @param requirementsText the page
 * @param tests every test file
 */
export function checkSpec(requirementsText: string, tests: readonly SourceFile[]): SpecResult {
  const requirements = parseRequirements(requirementsText);
  const proofs = tests.flatMap(proofsOf);
  const known = new Set(requirements.map(({ number }) => number));
  const proved = new Set(proofs.map(({ number }) => number).filter((number) => known.has(number)));
  const problems = [
    ...orderProblems(requirements),
    ...proofs
      .filter(({ number }) => !known.has(number))
      .map(({ number, path }) => `${path}:1: a test names ${number}, which ${REQUIREMENTS} does not have`),
    ...requirements
      .filter(({ number, done }) => done && !proved.has(number))
      .map(({ number, line }) => `${REQUIREMENTS}:${line}: ${number} is marked done, but no test names it; add one or open it again`),
  ];
  return {
    scanned: requirements.length === 0 ? 0 : tests.length,
    problems: [...new Set(problems)],
    untested: requirements.map(({ number }) => number).filter((number) => !proved.has(number)),
    summary: `${proved.size} of ${requirements.length} requirements have a test, ${requirements.filter(({ done }) => done).length} are done`,
  };
}

/** The numbers of a chapter count up from 1 without gap or repetition, so that no edit loses one. */
function orderProblems(requirements: readonly Requirement[]): string[] {
  return requirements.flatMap(({ number, line }, at) => {
    const [chapter = 0, item = 0] = number.split('.').map(Number);
    const [lastChapter = 0, lastItem = 0] = (requirements[at - 1]?.number ?? '0.0').split('.').map(Number);
    const follows = chapter === lastChapter ? item === lastItem + 1 : chapter === lastChapter + 1 && item === 1;
    return follows ? [] : [`${REQUIREMENTS}:${line}: ${number} does not follow ${lastChapter}.${lastItem}; numbers are never removed`];
  });
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const sources = readSources(root, ['src', 'test', 'tools', 'bench', 'native'], ['.ts', '.c', '.sh', '.py']);
  const page = readSources(root, ['docs'], ['requirements.md'])[0]?.text ?? '';
  const tests = sources.filter((file) => isTest(file.path) && file.path !== 'tools/check-spec.test.ts');
  const result = checkSpec(page, tests);
  if (process.argv.includes('--verbose')) console.log(`without a test: ${result.untested.join(' ') || 'none'}`);
  concludeCheck('spec', result);
}
