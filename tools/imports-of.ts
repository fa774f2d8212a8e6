import { parseSync } from 'oxc-parser';
import { lineAt } from './source-tree.ts';

/** One import, re-export or dynamic import of a file. */
export type ImportFact = {
  specifier: string;
  line: number;
  /** Removed by type stripping. `import { type A }` is not removed: the module is still loaded. */
  typeOnly: boolean;
  /** Loaded only when the code runs there. */
  dynamic: boolean;
};

/**
 * @param path its extension decides the dialect
 * @throws SyntaxError if the text is not TypeScript
 */
export function importsOf(path: string, text: string): ImportFact[] {
  const parsed = parseSync(path, text);
  const [mistake] = parsed.errors;
  if (mistake !== undefined) throw new SyntaxError(`${path}: ${mistake.message}`);
  const facts: ImportFact[] = [];
  for (const { start, moduleRequest } of parsed.module.staticImports) {
    const typeOnly = /^import\s+type\b(?!\s*,|\s+from\s*['"])/.test(text.slice(start));
    facts.push({ specifier: moduleRequest.value, line: lineAt(text, start), typeOnly, dynamic: false });
  }
  for (const { start, entries } of parsed.module.staticExports) {
    const request = entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest;
    if (request === undefined || request === null) continue;
    facts.push({
      specifier: request.value,
      line: lineAt(text, start),
      typeOnly: /^export\s+type\b/.test(text.slice(start)),
      dynamic: false,
    });
  }
  const code = withoutComments(text, parsed.comments);
  return [...facts, ...callsOf(code, new Set(parsed.module.dynamicImports.map(({ start }) => start)))];
}

/** Finds import('x') as value and as type, and the two ways around it. A computed name has the specifier ''. */
function callsOf(code: string, dynamicStarts: ReadonlySet<number>): ImportFact[] {
  const facts: ImportFact[] = [];
  for (const match of code.matchAll(/\b(import|require|getBuiltinModule)\s*\(\s*(?:(['"])([^'"\n]*)\2|(?=[^)\s]))/g)) {
    const [, word, , specifier = ''] = match;
    const isImport = word === 'import';
    if (word === 'require' && specifier === '') continue;
    facts.push({ specifier, line: lineAt(code, match.index), typeOnly: isImport && !dynamicStarts.has(match.index), dynamic: true });
  }
  return facts;
}

function withoutComments(text: string, comments: readonly { start: number; end: number }[]): string {
  let code = '';
  let at = 0;
  for (const { start, end } of comments) {
    code += text.slice(at, start) + text.slice(start, end).replace(/[^\n]/g, ' ');
    at = end;
  }
  return code + text.slice(at);
}
