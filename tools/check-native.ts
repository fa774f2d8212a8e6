// Checks two rules in native/: calls and includes lead one way, and a program only uses its own files and native/common/.
import { join, posix } from 'node:path';
import { readC } from './c-symbols.ts';
import { circlesIn } from './circles.ts';
import { CONSTANTS_PATH, constantsText } from './native-constants.ts';
import { type SourceFile, isTest, readSources } from './source-tree.ts';
import { type CheckResult, concludeCheck } from './check-result.ts';

const COMMON = 'native/common';

/** @param files of native/ */
export function checkNative(files: readonly SourceFile[]): CheckResult {
  const sources = files.filter(({ path }) => /\.[ch]$/.test(path) && !isTest(path));
  const programs = [...new Set(sources.map(({ path }) => programOf(path)))].filter((program) => program !== COMMON);
  const problems = [
    ...sources.flatMap(strayIncludes),
    ...circleProblems(includesOf(sources), 'include each other'),
    ...programs.flatMap((program) => {
      const own = sources.filter(({ path }) => programOf(path) === program || programOf(path) === COMMON);
      return circleProblems(callsOf(own), 'use each other; move what both need below them');
    }),
  ];
  return { scanned: sources.length, problems: [...new Set(problems)], summary: `${sources.length} files of ${programs.length} programs` };
}

function programOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

/** Relative to the file, or to native/. */
function targetOf(from: string, name: string): string {
  return name.startsWith('common/') ? `native/${name}` : posix.join(posix.dirname(from), name);
}

function strayIncludes({ path, text }: SourceFile): string[] {
  return readC(text)
    .includes.map((name) => targetOf(path, name))
    .filter((target) => ![programOf(path), COMMON].includes(programOf(target)))
    .map((target) => `${path}:1: it includes ${target}; what programs share lies in ${COMMON}/`);
}

function includesOf(files: readonly SourceFile[]): Map<string, string[]> {
  return new Map(files.map(({ path, text }) => [path, readC(text).includes.map((name) => targetOf(path, name))]));
}

/** Which .c file uses functions or variables of which other file. */
function callsOf(files: readonly SourceFile[]): Map<string, string[]> {
  const read = files.filter(({ path }) => path.endsWith('.c')).map(({ path, text }) => ({ path, ...readC(text) }));
  const owner = new Map(read.flatMap(({ path, defines }) => [...defines].map((name) => [name, path] as const)));
  return new Map(
    read.map(({ path, uses, defines }) => {
      const targets = [...uses].filter((name) => !defines.has(name)).flatMap((name) => owner.get(name) ?? []);
      return [path, [...new Set(targets)].toSorted()];
    }),
  );
}

function circleProblems(graph: Map<string, string[]>, what: string): string[] {
  return circlesIn(graph).map((way) => `${way[0]}:1: a circle, ${[...way, way[0]].join(' → ')}: they ${what}`);
}

function staleConstants(files: readonly SourceFile[]): string[] {
  const isCurrent = files.find(({ path }) => path === CONSTANTS_PATH)?.text === constantsText();
  return isCurrent ? [] : [`${CONSTANTS_PATH}:1: it is not what src/ says; make native-constants`];
}

if (import.meta.main) {
  const files = readSources(join(import.meta.dirname, '..'), ['native'], ['.c', '.h']);
  const result = checkNative(files);
  result.problems.push(...staleConstants(files));
  concludeCheck('native', result);
}
