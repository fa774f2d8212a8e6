// Checks sizes, names and words. Every rule says what to do instead; there is no list of exceptions.
import { join } from 'node:path';
import { findingsInC, findingsInTypeScript } from './function-lengths.ts';
import { type FileSize, type SourceFile, readSizes, readSources } from './source-tree.ts';
import { EXEMPT_FROM_WORDS, LIMITS, NAME_RULES, WORD_RULES } from './tidy-rules.ts';
import { type CheckResult, concludeCheck } from './check-result.ts';

const FOLDERS = ['', 'src', 'test', 'tools', 'bench', 'native', 'images', 'bin', 'docs', '.ci'];
const EXTENSIONS = ['.ts', '.c', '.h', '.sh', '.py', '.md', '.toml', '.json', 'Makefile', 'bin/bangerd', '.ci/run'];
/** Written by tools, not by hand. */
const GENERATED = new Set(['package-lock.json', 'docs/openapi.json', 'docs/cli.md']);

/** The result of check-tidy; `warnings` are files that approach the limit. */
export type TidyResult = CheckResult & { warnings: string[] };

/** @param files of the whole repository; generated ones are left out */
export function checkTidy(files: readonly SourceFile[]): TidyResult {
  const written = files.filter((file) => !GENERATED.has(file.path));
  const problems = written.flatMap((file) => [...nameProblems(file), ...sizeProblems(file), ...wordProblems(file), ...shapeProblems(file)]);
  const warnings = written.filter(isLimited).flatMap((file) => {
    const lines = lineCount(file.text);
    return lines > LIMITS.fileLinesWarning ? [`${file.path}: ${lines} lines; files aim at ${LIMITS.fileLinesWarning}`] : [];
  });
  return { scanned: written.length, problems, warnings, summary: `${written.length} files, ${warnings.length} above the aim` };
}

/** @returns a problem for each file that is too large for the repository: a script should make it */
export function largeFileProblems(files: readonly FileSize[]): string[] {
  return files
    .filter(({ path, bytes }) => bytes > LIMITS.fileBytes && !GENERATED.has(path))
    .map(({ path, bytes }) => `${path}:1: ${bytes} bytes; let a script make it, or keep it outside (limit ${LIMITS.fileBytes})`);
}

function isLimited(file: SourceFile): boolean {
  return /\.(ts|c|h|sh)$/.test(file.path);
}

function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

function nameProblems({ path }: SourceFile): string[] {
  return NAME_RULES.filter(({ pattern }) => pattern.test(path)).map(({ instead }) => `${path}:1: file name; ${instead}`);
}

function sizeProblems(file: SourceFile): string[] {
  const lines = lineCount(file.text);
  if (!isLimited(file) || lines <= LIMITS.fileLines) return [];
  return [`${file.path}:1: ${lines} lines; split the file (limit ${LIMITS.fileLines})`];
}

function wordProblems({ path, text }: SourceFile): string[] {
  if (EXEMPT_FROM_WORDS.has(path)) return [];
  const rules = WORD_RULES.filter((rule) => rule.applies(path));
  return text.split('\n').flatMap((line, at) =>
    rules.flatMap(({ pattern, instead }) => {
      const match = pattern.exec(line);
      return match === null ? [] : [`${path}:${at + 1}: \`${match[0].trim()}\`; ${instead}`];
    }),
  );
}

function shapeProblems({ path, text }: SourceFile): string[] {
  const findings = path.endsWith('.ts')
    ? findingsInTypeScript(path, text, LIMITS.functionLines)
    : /\.[ch]$/.test(path)
      ? findingsInC(text, LIMITS.functionLines)
      : [];
  return findings.map((finding) => `${path}:${finding.line}: ${finding.text}`);
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const result = checkTidy(readSources(root, FOLDERS, EXTENSIONS));
  result.problems.push(...largeFileProblems(readSizes(root, FOLDERS)));
  if (process.argv.includes('--verbose')) for (const warning of result.warnings) console.log(warning);
  concludeCheck('tidy', result);
}
