// Makes the table of docs/conformance.md: the promises of each contract, and where each driver keeps them.
import type { ContractResult } from './contract-reporter.ts';

/** This machine, or the lab. */
export type Machine = 'here' | 'lab';

const SIGNS = { pass: 'yes', fail: '**no**', skip: 'skipped' } as const;

/** @returns the results in a file of the reporter */
export function parseResults(text: string): ContractResult[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as ContractResult);
}

/** @returns the whole document; a cell says `plain machine / lab`, with `-` if a driver was not tested */
export function renderConformance(results: Readonly<Record<Machine, readonly ContractResult[]>>): string {
  const all = [...results.here, ...results.lab];
  const kinds = [...new Set(all.map(({ kind }) => kind))].toSorted();
  const head = `# Conformance

Written by \`make conformance\`. A row is a promise of a contract, which is a test in \`src/drivers/KIND/conformance.ts\`; a column is a
driver. A cell says whether the driver keeps it on a plain development machine / as root or user in the lab (\`make lab\`); \`-\` means
that it was not tried there.
`;
  return [
    head,
    ...kinds.map((kind) =>
      sectionOf(
        kind,
        results,
        all.filter((result) => result.kind === kind),
      ),
    ),
  ].join('\n');
}

function sectionOf(kind: string, results: Readonly<Record<Machine, readonly ContractResult[]>>, all: readonly ContractResult[]): string {
  const drivers = [...new Set(all.map(({ driver }) => driver))].toSorted();
  const promises = [...new Set(all.map(({ promise }) => promise))];
  const cell = (machine: Machine, promise: string, driver: string): string => {
    const tried = results[machine].filter((result) => result.kind === kind && result.promise === promise && result.driver === driver);
    // If a promise was tested more than once, as root and as a user, one failure is a failure, and a skip hides no pass.
    const outcome = (['fail', 'pass', 'skip'] as const).find((name) => tried.some((result) => result.outcome === name));
    return outcome === undefined ? '-' : SIGNS[outcome];
  };
  const row = (cells: readonly string[]): string => `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    `## ${kind}\n`,
    row(['promise', ...drivers]),
    row(['---', ...drivers.map(() => '---')]),
    ...promises.map((promise) =>
      row([promise, ...drivers.map((driver) => `${cell('here', promise, driver)} / ${cell('lab', promise, driver)}`)]),
    ),
    '',
  ].join('\n');
}
