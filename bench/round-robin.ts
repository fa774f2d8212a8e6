// Measures rows in turn, round after round, so that drift of the machine affects all of them alike. Ratios count, not seconds.

/** One thing to measure. `measure` returns its value in the unit of the bench, or throws, which fails the round. */
export type Row = { name: string; measure: (round: number) => Promise<number> };

/** The unit, if it differs from the bench's. */
export type RowResult = { name: string; samples: readonly number[]; unit?: string };

/**
 * @param rounds how often to measure each row
 * @param warmUps additional first rounds, which do not count
 * @throws the error of a row: a bench with gaps compares nothing
 */
export async function measureRoundRobin(rows: readonly Row[], rounds: number, warmUps = 1): Promise<RowResult[]> {
  const results = rows.map(({ name }) => ({ name, samples: [] as number[] }));
  for (let round = 0; round < rounds + warmUps; round++) {
    // Every other round runs backwards, so that no row always follows the same one.
    const order = round % 2 === 0 ? [...rows.keys()] : [...rows.keys()].toReversed();
    for (const at of order) {
      const value = await rows[at]?.measure(round);
      if (round >= warmUps && value !== undefined) results[at]?.samples.push(value);
    }
  }
  return results;
}

/** @returns the value below which `fraction` of the samples lie, linear between neighbours; NaN without samples */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export type Summary = { median: number; lowerQuartile: number; upperQuartile: number; min: number; max: number };

/** @returns the median and the spread of the samples */
export function summarize(samples: readonly number[]): Summary {
  return {
    median: quantile(samples, 0.5),
    lowerQuartile: quantile(samples, 0.25),
    upperQuartile: quantile(samples, 0.75),
    min: quantile(samples, 0),
    max: quantile(samples, 1),
  };
}

/** @returns about three significant digits: 0.0123, 1.23, 12.3, 1234 */
export function formatValue(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}
