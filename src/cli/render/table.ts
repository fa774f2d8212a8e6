import stringWidth from 'fast-string-width';
import { safeLine } from './text.ts';

export type Column<Row> = { title: string; of: (row: Row) => string };

/**
 * Columns two spaces apart, as docker and kubectl print them. Nothing is ever cut: what is shown can be copied.
 * @returns lines without trailing blanks
 */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], options: { headers?: boolean } = {}): string[] {
  const cells = rows.map((row) => columns.map((column) => safeLine(column.of(row))));
  if (options.headers !== false) cells.unshift(columns.map((column) => column.title));
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => stringWidth(line[i] ?? ''))));
  return cells.map((line) =>
    line
      .map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - stringWidth(cell)))
      .join('  ')
      .trimEnd(),
  );
}

/** @returns "name:  value" lines with the values in one column; pairs without a value are left out */
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
