// Runs the benches and prints one Markdown table. `--output FILE` also writes it to a file, `--rounds N` sets how often to measure the slow
// rows, `--scale 0.1` copies a tenth of what the longest benches copy; other arguments are names of benches. Without names, all but the longest run.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSandbox } from '../test/support/machine/sandbox.ts';
import type { Bench } from './bench.ts';
import { copyBenches } from './copy.ts';
import { createBench } from './create.ts';
import { memoryBench, startBench, wakeUpsBench } from './daemon.ts';
import { poolBench } from './pool.ts';
import { recordsBench } from './records.ts';
import { execBench, listBench } from './running.ts';
import { dnsBench, forwardBytesBench, forwardPingBench, portsBench } from './reach.ts';
import { suspendBench } from './suspend.ts';
import { type BenchResult, markdownTable } from './table.ts';

const benchesOf = (scale: number): readonly Bench[] => [
  recordsBench,
  listBench,
  execBench,
  startBench,
  wakeUpsBench,
  memoryBench,
  createBench,
  suspendBench,
  poolBench,
  forwardBytesBench,
  forwardPingBench,
  portsBench,
  dnsBench,
  ...copyBenches(scale),
];
/** The limit for a bench that hangs. */
const LIMIT_MINUTES = 10;

function chosen(benches: readonly Bench[], names: readonly string[]): readonly Bench[] {
  const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0)
    throw new Error(`no bench is named ${unknown.join(', ')}; there are ${benches.map(({ name }) => name).join(', ')}`);
  return benches.filter(({ name, isOnlyByName }) => (names.length === 0 ? isOnlyByName !== true : names.includes(name)));
}

/** Every bench has a daemon of its own, run by the bench's own user: a wrapper would be part of the measurement. */
async function runBench(bench: Bench, rounds: number): Promise<BenchResult> {
  const scratch = mkdtempSync('/tmp/bgr-bench-');
  const sandbox = await createSandbox({ asRoot: true });
  const limitMinutes = bench.limitMinutes ?? LIMIT_MINUTES;
  const overdue = Promise.withResolvers<never>();
  const timer = setTimeout(() => overdue.reject(new Error(`not done within ${limitMinutes} minutes`)), limitMinutes * 60_000);
  try {
    process.stderr.write(`${bench.title} …\n`);
    const rows = await Promise.race([bench.run({ sandbox, scratch, rounds: { slow: rounds, fast: 4 * rounds + 1 } }), overdue.promise]);
    return { ...bench, rows };
  } finally {
    clearTimeout(timer);
    rmSync(scratch, { recursive: true, force: true });
    await sandbox.close();
  }
}

/** @returns the line that says what was measured, where and when */
function describeMachine(): string {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { version: string };
  const memoryGib = Math.round(totalmem() / 1024 ** 3);
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, ${memoryGib} GiB, Linux ${release()}`;
  return `banger ${version}, Node ${process.versions.node}, ${machine}, ${new Date().toISOString().slice(0, 10)}. Rows of one bench were measured in turn.`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output: { type: 'string' }, rounds: { type: 'string', default: '5' }, scale: { type: 'string', default: '1' } },
});
const results: BenchResult[] = [];
for (const bench of chosen(benchesOf(Number(values.scale)), positionals)) results.push(await runBench(bench, Number(values.rounds)));
const report = `${describeMachine()}\n\n${markdownTable(results)}\n`;
if (values.output !== undefined) writeFileSync(values.output, report);
process.stdout.write(report);
