// The cases of `vm cp`: the rows of the table in docs/copying.md, and their trees.
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type CopyCase = {
  /** The row as in the document. */
  title: string;
  argv: [from: string, to: string];
  only: 'in' | 'out' | undefined;
  source: string[];
  before: string[];
  /** What the target contains afterwards; after a refusal, the same as before. */
  after: string[];
  isRefused: boolean;
  /** The text on stderr; empty if there is none. */
  says: string;
};

const listOf = (cell: string): string[] => (/`([^`]+)`/.exec(cell)?.[1] ?? '').split(', ').filter((item) => item !== '');

function caseOf(row: string): CopyCase | undefined {
  const [copied = '', source = '', target = '', gives = ''] = row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
  const argv = /^`([^`]+)` to `([^`]+)`/.exec(copied);
  if (argv === null) return undefined;
  const refusal = /^refused: (.+)$/.exec(gives)?.[1];
  const before = listOf(target);
  return {
    title: `${copied.replaceAll('`', '')} [${listOf(source).join(', ')}] [${before.join(', ')}]`,
    argv: [argv[1] ?? '', argv[2] ?? ''],
    only: copied.endsWith('into a guest') ? 'in' : copied.endsWith('out of a guest') ? 'out' : undefined,
    source: listOf(source),
    before,
    after: (refusal === undefined ? listOf(gives) : before).toSorted(),
    isRefused: refusal !== undefined,
    says: refusal ?? /said: (.+)$/.exec(gives)?.[1] ?? '',
  };
}

export const COPY_CASES: readonly CopyCase[] = readFileSync(join(import.meta.dirname, '../../../docs/copying.md'), 'utf8')
  .split('\n')
  .map(caseOf)
  .filter((found) => found !== undefined);

/** Makes the files of a list in the table below a directory. */
export function layOut(root: string, items: readonly string[]): void {
  for (const item of items) {
    const [path = '', target] = item.split(' -> ');
    const [name = '', content] = path.split('=');
    if (target !== undefined) symlinkSync(target, join(root, path));
    else if (name.endsWith('/')) mkdirSync(join(root, name));
    else writeFileSync(join(root, name), content ?? name.split('/').at(-1) ?? '');
  }
}

/** @returns what is below a directory, in the words of the table, sorted */
export function look(root: string, below = ''): string[] {
  return readdirSync(join(root, below))
    .flatMap((name) => {
      const path = below === '' ? name : `${below}/${name}`;
      const stat = lstatSync(join(root, path));
      if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(root, path))}`];
      return stat.isDirectory() ? [`${path}/`, ...look(root, path)] : [`${path}=${readFileSync(join(root, path), 'utf8')}`];
    })
    .toSorted();
}
