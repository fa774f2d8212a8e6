// Checks src/ against import-rules.ts.
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { circlesIn } from './circles.ts';
import {
  CLI_ENTRY,
  IMPORT_BANS,
  IMPORT_EXCEPTIONS,
  IMPORT_RULES,
  type ImportException,
  NOT_AT_CLI_START,
  type Place,
  RESERVED_MODULES,
  placeOf,
} from './import-rules.ts';
import { type ImportFact, importsOf } from './imports-of.ts';
import { type SourceFile, isTest, readSources } from './source-tree.ts';
import { type CheckResult, concludeCheck } from './check-result.ts';

/** A file with its imports, each resolved to a path in the repository or to the name of a module. */
type Node = { path: string; imports: (ImportFact & { target: string })[] };

/**
 * Judges the imports of all files of src/. Tests may import anything, like compose.ts.
 * @param files of src/
 */
export function checkImports(files: readonly SourceFile[], exceptions = IMPORT_EXCEPTIONS): CheckResult {
  const nodes = files.filter((file) => !isTest(file.path)).map(toNode);
  const problems = [
    ...nodes.flatMap((node) => node.imports.flatMap((fact) => problemsOf(node, fact, exceptions))),
    ...cliStartProblems(nodes),
    ...circleProblems(nodes),
    ...nodes.filter((node) => placeOf(node.path) === undefined).map((node) => `${node.path}:1: no import rule knows this folder`),
  ];
  const count = nodes.reduce((sum, node) => sum + node.imports.length, 0);
  return { scanned: nodes.length, problems, summary: `${count} imports in ${nodes.length} files` };
}

function toNode(file: SourceFile): Node {
  const imports = importsOf(file.path, file.text).map((fact) => ({ ...fact, target: targetOf(file.path, fact.specifier) }));
  return { path: file.path, imports };
}

function targetOf(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier);
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? specifier : `node:${specifier}`;
  return specifier;
}

function problemsOf(node: Node, fact: Node['imports'][number], exceptions: readonly ImportException[]): string[] {
  const where = `${node.path}:${fact.line}`;
  if (fact.specifier === '') return [`${where}: import() of a computed name cannot be checked; write the name`];
  const reserved = RESERVED_MODULES.find(({ module }) => module === fact.target);
  if (reserved !== undefined && !fact.typeOnly && !matches(node.path, reserved.onlyIn)) {
    return [`${where}: ${fact.target} is for ${reserved.onlyIn} alone: ${reserved.because}`];
  }
  if (!fact.specifier.startsWith('.')) return [];
  const from = placeOf(node.path);
  const to = placeOf(fact.target);
  if (from === undefined) return [];
  if (to === undefined) return [`${where}: ${fact.specifier} leads out of the folders that the rules know`];
  const ban = IMPORT_BANS.find((one) => matches(node.path, one.from) && matches(fact.target, one.to));
  if (ban !== undefined) return [`${where}: ${fact.target} may not be imported here: ${ban.because}`];
  if (exceptions.some((exception) => matches(node.path, exception.from) && matches(fact.target, exception.to))) return [];
  const judgement = judge(from, to, fact.typeOnly);
  if (judgement === 'allowed') return [];
  const what = judgement === 'types-only' ? 'only types of' : 'nothing of';
  return [`${where}: ${from.zone} may import ${what} ${to.zone} (${fact.target}): ${IMPORT_RULES[from.zone].because}`];
}

function judge(from: Place, to: Place, typeOnly: boolean): 'allowed' | 'types-only' | 'forbidden' {
  if (from.zone === to.zone && from.part === to.part) return 'allowed';
  if (from.zone === 'driver' && to.zone === 'contract' && from.part.split('/')[0] !== to.part) {
    return typeOnly ? 'allowed' : 'types-only';
  }
  const rule = IMPORT_RULES[from.zone];
  if (rule.values.includes(to.zone)) return 'allowed';
  if (to.zone === 'compose') return from.zone === 'daemon' ? 'allowed' : 'forbidden';
  if (!rule.types.includes(to.zone)) return 'forbidden';
  return typeOnly ? 'allowed' : 'types-only';
}

function matches(path: string, pattern: string): boolean {
  return path === pattern || path === `${pattern}.ts` || path.startsWith(pattern.endsWith('/') ? pattern : `${pattern}/`);
}

/** Type imports count: two files that need each other's types are not separate parts. */
function circleProblems(nodes: readonly Node[]): string[] {
  const known = new Set(nodes.map(({ path }) => path));
  const graph = new Map(
    nodes.map(({ path, imports }) => [path, imports.map(({ target }) => target).filter((target) => known.has(target))]),
  );
  return circlesIn(graph).map(
    (circle) => `${circle[0]}:1: imports lead in a circle, types included: ${circle.join(' → ')}; move what they share below them`,
  );
}

/** Follows the static imports from the CLI's entry: everything in reach is loaded before the first line of output. */
function cliStartProblems(nodes: readonly Node[]): string[] {
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  const queue: { path: string; via: string }[] = [{ path: CLI_ENTRY, via: CLI_ENTRY }];
  const seen = new Set(queue.map(({ path }) => path));
  const problems: string[] = [];
  for (const { path, via } of queue) {
    for (const fact of byPath.get(path)?.imports ?? []) {
      if (fact.typeOnly || fact.dynamic) continue;
      const banned = NOT_AT_CLI_START.find(({ module }) => module === fact.target);
      if (banned !== undefined) {
        problems.push(`${path}:${fact.line}: ${fact.target} is loaded when the CLI starts (${via}): ${banned.because}`);
      } else if (!seen.has(fact.target)) {
        seen.add(fact.target);
        queue.push({ path: fact.target, via: `${via} → ${fact.target}` });
      }
    }
  }
  return problems;
}

if (import.meta.main) {
  concludeCheck('imports', checkImports(readSources(join(import.meta.dirname, '..'), ['src'], ['.ts'])));
}
