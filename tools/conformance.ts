// `make conformance`: tests every driver against its contract, on this machine and in the lab, and writes docs/conformance.md.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleProgram } from '../test/support/images/bundle-program.ts';
import { type Machine, parseResults, renderConformance } from './lab/conformance-table.ts';
import type { ContractResult } from './lab/contract-reporter.ts';

const root = join(import.meta.dirname, '..');
const node = [process.execPath, ...process.execArgv];

/** The lab tests that include contract tests. With BANGER_FIRECRACKER and BANGER_JAILER, Firecracker has its columns. */
const IN_LAB = ['user', 'dm-snapshot.test.ts', 'network-private.test.ts', 'bridge-setup.test.ts', 'jail.test.ts'].map(
  (name) => `test/lab/${name}`,
);

/** Commands that run contract tests and write their results to `file`. */
function commandsOf(file: (name: string) => string): { machine: Machine; results: string; argv: string[]; env?: Record<string, string> }[] {
  const test = (name: string): string[] => [
    ...[...node, '--test', '--test-concurrency=1', '--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...['--test-reporter=./tools/lab/contract-reporter.ts', `--test-reporter-destination=${file(name)}`],
  ];
  const networkLab = {
    LAB_NODE: process.execPath,
    LAB_INTERNET: join(root, 'test/support/outside/internet-fixture.ts'),
    LAB_FORWARDER: bundleProgram('forwarder'),
  };
  return [
    { machine: 'here', results: file('drivers'), argv: [...test('drivers'), 'src/drivers/**/*.test.ts', 'test/e2e/hypervisor-*.test.ts'] },
    {
      machine: 'here',
      results: file('network'),
      argv: ['test/support/outside/network-lab.sh', 'root', ...test('network'), 'test/e2e/network-private-inside.ts'],
      env: networkLab,
    },
    { machine: 'lab', results: file('lab'), argv: [...node, 'tools/lab/main.ts', 'test', ...IN_LAB], env: { LAB_RESULTS: file('lab') } },
  ];
}

const directory = mkdtempSync(join(tmpdir(), 'bgr-contract-'));
try {
  const results: Record<Machine, ContractResult[]> = { here: [], lab: [] };
  for (const { machine, results: file, argv, env } of commandsOf((name) => join(directory, name))) {
    const [program = '', ...args] = argv;
    const { status } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
    if (status !== 0) process.exitCode = 1;
    if (existsSync(file)) results[machine].push(...parseResults(readFileSync(file, 'utf8')));
  }
  writeFileSync(join(root, 'docs/conformance.md'), renderConformance(results));
  console.log(`conformance: ${process.exitCode === 1 ? 'something failed; ' : ''}docs/conformance.md is written`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
