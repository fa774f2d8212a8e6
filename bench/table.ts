import { type RowResult, formatValue, summarize } from './round-robin.ts';

/** The goal of a row: a multiple of another row's median, or an absolute value without `against`. */
export type Goal = { against?: string; atMost: number };

export type BenchResult = { title: string; unit: string; goals: Readonly<Record<string, readonly Goal[]>>; rows: readonly RowResult[] };

/**
 * @returns one Markdown table of all benches. A row without samples is of a tool that is not installed. A row is only compared within its
 * own bench, which was measured in turn.
 */
export function markdownTable(results: readonly BenchResult[]): string {
  const lines = results.flatMap((bench) =>
    bench.rows.map(({ name, samples, unit = bench.unit }) => {
      if (samples.length === 0) return `| ${bench.title} | ${name} | absent | | | 0 | |`;
      const { median, lowerQuartile, upperQuartile, min, max } = summarize(samples);
      const compared = (bench.goals[name] ?? []).map((goal) => compare(median, goal, bench.rows)).join('; ');
      const spread = `${formatValue(lowerQuartile)}–${formatValue(upperQuartile)}`;
      const cells = [bench.title, name, `${formatValue(median)} ${unit}`, spread, `${formatValue(min)}–${formatValue(max)}`];
      return `| ${[...cells, samples.length, compared].join(' | ')} |`;
    }),
  );
  return ['| bench | row | median | quartiles | range | n | compared |', '|---|---|--:|--:|--:|--:|---|', ...lines].join('\n');
}

function compare(median: number, { against, atMost }: Goal, rows: readonly RowResult[]): string {
  if (against === undefined) return `goal ≤ ${atMost}: ${median <= atMost ? 'met' : 'missed'}`;
  const ratio = median / summarize(rows.find(({ name }) => name === against)?.samples ?? []).median;
  return `${formatValue(ratio)} × ${against} (goal ≤ ${formatValue(atMost)}: ${ratio <= atMost ? 'met' : 'missed'})`;
}
