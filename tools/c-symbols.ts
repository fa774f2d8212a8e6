// The symbols that a C file defines and uses, from its text: without a compiler, the check takes no time.

export type CFile = {
  /** Functions and variables that other files can see. */
  defines: Set<string>;
  /** Identifiers that may belong to other files: all but members, tags and the file's own. */
  uses: Set<string>;
  /** As written: `name` of `#include "name"`. */
  includes: string[];
};

export function readC(text: string): CFile {
  const includes = [...text.matchAll(/^#include "([^"]+)"/gm)].map(([, name = '']) => name);
  const code = codeOf(text);
  const defines = new Set<string>();
  const own = new Set<string>();
  for (const head of headsOf(code)) {
    const name = definedBy(head);
    if (name !== undefined) (/\bstatic\b/.test(head) ? own : defines).add(name);
  }
  const words = code.matchAll(/(?<!\w|\.|->\s*|\b(?:struct|enum|union|goto)\s+)[A-Za-z_]\w*/g);
  const uses = new Set([...words].map(([word]) => word).filter((word) => !own.has(word)));
  return { defines, uses, includes };
}

/** Without comments, literals and lines of the preprocessor. */
function codeOf(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, ' ')
    .replace(/^[ \t]*#(?:[^\\\n]|\\[\s\S])*/gm, '');
}

/** The text outside all braces, one piece for each declaration or definition; `{}` stands for the content of braces. */
function headsOf(code: string): string[] {
  const heads: string[] = [];
  let depth = 0;
  let head = '';
  for (const sign of code) {
    if (sign === '{' && depth++ === 0) head += '{}';
    if (depth === 0) head += sign;
    if (sign === '}') depth--;
    const isFunctionEnd = sign === '}' && depth === 0 && /\)\s*\{\}$/.test(head);
    if (depth !== 0 || (sign !== ';' && !isFunctionEnd)) continue;
    heads.push(head.trim());
    head = '';
  }
  return heads;
}

/** @returns the function or variable that a piece defines; undefined for prototypes, types and declarations */
function definedBy(head: string): string | undefined {
  if (/^(typedef|extern|_Static_assert)\b/.test(head)) return undefined;
  const bare = head.replace(/__attribute__\s*\(\(.*?\)\)/g, '').trim();
  const called = /(\w+)\s*\([^{]*\)\s*\{\}$/.exec(bare);
  if (called !== null) return called[1];
  // The declarator stands before the value; a struct, enum or union alone names no variable.
  const declarator = bare.replace(/=.*$/s, '').replace(/\{\}/g, ' {} ').replace(/;$/, '').trim();
  if (/\(/.test(declarator)) return /\(\*\s*(\w+)/.exec(declarator)?.[1];
  if (/^(?:static\s+)?(?:struct|enum|union)\s*\w*(?:\s*\{\})?$/.test(declarator)) return undefined;
  return /(\w+)\s*(?:\[[^\]]*\]\s*)*$/.exec(declarator)?.[1];
}
