import { parseSync } from 'oxc-parser';
import { lineAt } from './source-tree.ts';

/** A function with too many lines, or an empty catch block. */
export type Finding = { line: number; text: string };

type AstNode = { type: string; start: number; end: number } & Record<string, unknown>;

const FUNCTION_TYPES = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
/** A group of tests is a table of contents, not a function. */
const TEST_GROUPS = new Set(['describe', 'suite']);

/**
 * @param maxLines lines, both braces included
 * @returns functions that are too long, and catch blocks with neither a statement nor a comment
 */
export function findingsInTypeScript(path: string, text: string, maxLines: number): Finding[] {
  const parsed = parseSync(path, text);
  const findings: Finding[] = [];
  const visit = (node: AstNode, name: string, exempt: boolean): void => {
    if (FUNCTION_TYPES.has(node.type) && !exempt) {
      const line = lineAt(text, node.start);
      const lines = lineAt(text, node.end - 1) - line + 1;
      if (lines > maxLines) findings.push({ line, text: `${nameOf(node) ?? name} has ${lines} lines; split it (limit ${maxLines})` });
    }
    if (node.type === 'CatchClause' && isSilent(node, parsed.comments)) {
      findings.push({ line: lineAt(text, node.start), text: 'empty catch; handle the error, or say in a comment why it may be ignored' });
    }
    const isGroup = node.type === 'CallExpression' && TEST_GROUPS.has(nameOf(node['callee']) ?? '');
    for (const child of childrenOf(node)) visit(child, nameOf(node) ?? name, isGroup);
  };
  visit(parsed.program as unknown as AstNode, 'function', false);
  return findings;
}

function isAstNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && typeof (value as AstNode).type === 'string';
}

function childrenOf(node: AstNode): AstNode[] {
  return Object.values(node)
    .flatMap((value) => (Array.isArray(value) ? value : [value]))
    .filter(isAstNode);
}

function nameOf(node: unknown): string | undefined {
  if (!isAstNode(node)) return undefined;
  if (node.type === 'Identifier') return String(node['name']);
  return nameOf(node['id'] ?? node['key']);
}

function isSilent(node: AstNode, comments: readonly { start: number; end: number }[]): boolean {
  const body = node['body'] as AstNode & { body: unknown[] };
  return body.body.length === 0 && !comments.some(({ start, end }) => start > body.start && end < body.end);
}

/**
 * Finds long functions of C by their layout: a header that begins in column 0 and a closing brace in column 0.
 * @param maxLines lines, both braces included
 */
export function findingsInC(text: string, maxLines: number): Finding[] {
  const findings: Finding[] = [];
  let header: { line: number; name: string } | undefined;
  for (const [at, line] of text.split('\n').entries()) {
    if (/^[A-Za-z_]/.test(line) && line.includes('(') && !line.includes(';')) {
      header = { line: at + 1, name: /(\w+)\s*\(/.exec(line)?.[1] ?? 'function' };
    } else if (line.startsWith('}') && header !== undefined) {
      const lines = at + 2 - header.line;
      if (lines > maxLines) findings.push({ line: header.line, text: `${header.name} has ${lines} lines; split it (limit ${maxLines})` });
      header = undefined;
    } else if (/^[A-Za-z_#].*;\s*$/.test(line)) header = undefined;
  }
  return findings;
}
