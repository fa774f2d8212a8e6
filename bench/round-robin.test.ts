import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatValue, measureRoundRobin, quantile, summarize } from './round-robin.ts';
import { markdownTable } from './table.ts';

test('quantiles lie between the neighbours of their place', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([4, 1, 2, 3], 0.5), 2.5);
  assert.equal(quantile([10, 20], 0.25), 12.5);
  assert.equal(quantile([7], 0.9), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

// Without -0, which sorting does not tell from 0 while assert does.
const sample = fc.double({ noNaN: true, min: -1e9, max: 1e9 }).map((value) => value + 0);

test('whatever the samples: min ≤ lower quartile ≤ median ≤ upper quartile ≤ max, and order does not matter', () => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1 }), (samples) => {
      const { min, lowerQuartile, median, upperQuartile, max } = summarize(samples);
      const ordered = [min, lowerQuartile, median, upperQuartile, max];
      const slack = 1e-6;
      assert.ok(ordered.every((value, at) => at === 0 || value >= (ordered[at - 1] ?? 0) - slack));
      assert.deepEqual(summarize(samples.toReversed()), summarize(samples));
      assert.equal(max, Math.max(...samples));
    }),
  );
});

test('rows take turns, alternately forwards and backwards, and the first round is not counted', async () => {
  const calls: string[] = [];
  const row = (name: string) => ({
    name,
    measure: (round: number) => {
      calls.push(`${name}${round}`);
      return Promise.resolve(round);
    },
  });
  const results = await measureRoundRobin([row('a'), row('b')], 2);
  assert.deepEqual(calls, ['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
  assert.deepEqual(results, [
    { name: 'a', samples: [1, 2] },
    { name: 'b', samples: [1, 2] },
  ]);
});

test('a row that fails fails the bench', async () => {
  const broken = { name: 'a', measure: () => Promise.reject(new RangeError('no boot')) };
  await assert.rejects(measureRoundRobin([broken], 3), /no boot/);
});

test('the table holds rows against others of their bench, or against a number, and says which tool is not there', () => {
  const rows = [
    { name: 'ours', samples: [30, 10, 20] },
    { name: 'bare', samples: [10, 10, 10] },
    { name: 'theirs', samples: [] },
  ];
  const goals = { ours: [{ against: 'bare', atMost: 1.5 }, { atMost: 20 }] };
  assert.equal(
    markdownTable([{ title: 'start', unit: 'ms', goals, rows }]),
    `| bench | row | median | quartiles | range | n | compared |
|---|---|--:|--:|--:|--:|---|
| start | ours | 20.0 ms | 15.0–25.0 | 10.0–30.0 | 3 | 2.00 × bare (goal ≤ 1.50: missed); goal ≤ 20: met |
| start | bare | 10.0 ms | 10.0–10.0 | 10.0–10.0 | 3 |  |
| start | theirs | absent | | | 0 | |`,
  );
});

test('values are printed with about three significant digits', () => {
  assert.deepEqual([0, 0.01234, 1.234, 12.34, 1234.5].map(formatValue), ['0', '0.0123', '1.23', '12.3', '1235']);
});
