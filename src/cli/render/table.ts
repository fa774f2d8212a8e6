import stringWidth from 'fast-string-width';
import { safeLine } from '../../lib/terminal-text.ts';

export type Column<Row> = {
  title: string;
  of: (row: Row) => string;
  /** Left out before other columns if the terminal is too narrow. */
  minor?: boolean;
  /** Only with `-o wide`: left out before the columns of the plain table. */
  extra?: boolean;
};

const GAP = 2;
/** A cut cell keeps at least this many columns. */
const MIN_CUT_WIDTH = 12;

/** @returns the columns of `-o wide`: those of the plain table, and as many extra ones as fit */
export function withWide<Row>(columns: readonly Column<Row>[], wide: readonly Column<Row>[]): readonly Column<Row>[] {
  return [...columns, ...wide.map((column) => ({ ...column, extra: true }))];
}

export type TableOptions = {
  headers?: boolean | undefined;
  /** Width of the terminal: a longer line would wrap. Undefined: nothing is cut, so that users can copy the values. */
  width?: number | undefined;
  /** Gets the titles of the columns that were left out, if any. */
  onLeftOut?: (titles: readonly string[]) => void;
};

/**
 * Columns two spaces apart, as docker and kubectl print them. If they exceed `width`, extra columns go first, then minor ones, the last
 * first; then the widest are cut; then the last columns go.
 * @returns lines without trailing blanks
 */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], options: TableOptions = {}): string[] {
  const table = columns.map((column) => {
    const cells = rows.map((row) => safeLine(column.of(row)));
    if (options.headers !== false) cells.unshift(column.title);
    return { column, cells, width: Math.max(0, ...cells.map((cell) => stringWidth(cell))) };
  });
  if (options.width !== undefined) fit(table, options.width);
  const left = columns.filter((column) => table.every((laid) => laid.column !== column));
  if (left.length > 0) options.onLeftOut?.(left.map(({ title }) => title));
  const lines: string[] = [];
  for (let i = 0; i < rows.length + (options.headers === false ? 0 : 1); i++) {
    const line = table.map(({ cells, width }) => {
      const cell = cut(cells[i] ?? '', width);
      return cell + ' '.repeat(width - stringWidth(cell));
    });
    lines.push(line.join(' '.repeat(GAP)).trimEnd());
  }
  return lines;
}

type Laid = { column: { minor?: boolean; extra?: boolean }; cells: string[]; width: number };

function fit(table: Laid[], width: number): void {
  const excess = (): number => table.reduce((sum, column) => sum + column.width + GAP, -GAP) - width;
  while (excess() > 0) {
    const extra = table.findLastIndex(({ column }) => column.extra === true);
    const minor = extra >= 0 ? extra : table.findLastIndex(({ column }) => column.minor === true);
    const widest = table.reduce((best, column) => (column.width > best.width ? column : best));
    if (minor > 0) table.splice(minor, 1);
    else if (widest.width > MIN_CUT_WIDTH) widest.width = Math.max(MIN_CUT_WIDTH, widest.width - excess());
    else if (table.length > 1) table.pop();
    else return;
  }
}

/** @returns `text` in at most `width` columns, with a sign where something was cut */
function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = '';
  for (const character of text) {
    if (stringWidth(kept) + stringWidth(character) > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** @returns "name:  value" lines with aligned values; pairs without a value are left out */
export function renderFacts(facts: readonly (readonly [string, string | null | undefined])[]): string[] {
  const shown = facts.filter((fact): fact is readonly [string, string] => fact[1] !== null && fact[1] !== undefined);
  return renderTable(
    [
      { title: '', of: ([name]) => `${name}:` },
      { title: '', of: ([, value]) => value },
    ],
    shown,
    { headers: false },
  );
}
