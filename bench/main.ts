// Runs the benches and prints Markdown. Arguments are names of benches; without any, all run. BENCH_ROUNDS sets the slow ones.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { createSandbox } from '../test/support/sandbox.ts';
import { BENCHES, type Bench } from './benches.ts';
import { markdownTable } from './round-robin.ts';

const slow = Number(process.env['BENCH_ROUNDS'] ?? 5);

function chosen(names: readonly string[]): readonly Bench[] {
  const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0)
    throw new Error(`no bench is named ${unknown.join(', ')}; there are ${BENCHES.map(({ name }) => name).join(', ')}`);
  return names.length === 0 ? BENCHES : BENCHES.filter(({ name }) => names.includes(name));
}

/** Every bench has a daemon of its own, run as whoever runs the bench: a wrapper would be measured with it. */
async function runBench(bench: Bench): Promise<void> {
  const scratch = mkdtempSync('/tmp/bgr-bench-');
  const sandbox = await createSandbox({ asRoot: true });
  try {
    const results = await bench.run({ sandbox, scratch, rounds: { slow, fast: 4 * slow + 1 } });
    console.log(`\n### ${bench.title}\n\n${markdownTable(results, bench.baseline, bench.unit)}`);
  } finally {
    await sandbox.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

const benches = chosen(process.argv.slice(2));
const processor = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown processor';
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { version: string };
console.log(`banger ${version}, Node ${process.versions.node}, Linux ${release()}, ${processor}; rows measured in turn`);
for (const bench of benches) await runBench(bench);
