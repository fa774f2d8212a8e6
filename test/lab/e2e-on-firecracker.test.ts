// The tests of real VMs that elsewhere run on what a machine chooses by itself, on Firecracker: as the user's own process, and in jails.
// LAB_E2E_FILES="smoke stop" and LAB_E2E_HYPERVISORS="firecracker-jailed" run a part.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { environmentOf, useInstalledHelper, withoutFirecracker } from '../support/machine/lab-host.ts';

const FOLDER = join(import.meta.dirname, '../e2e');
/** Those with VMs of their own whose hypervisor is not what they are about. */
const FILES = [
  'smoke',
  'exec',
  'stop',
  'suspend',
  'templates',
  'fork',
  'persistence',
  'cancel',
  'recovery',
  'set-and-stats',
  'network',
  'reach',
  'faults',
  'hostile-guest',
];
const HYPERVISORS = ['firecracker', 'firecracker-jailed'];
const FILE_LIMIT_MS = 3_600_000;

const wordsOf = (name: string, fallback: readonly string[]): readonly string[] => process.env[name]?.split(/[ ,]+/) ?? fallback;

describe('with the helper installed', { skip: withoutFirecracker }, () => {
  useInstalledHelper();
  for (const hypervisor of wordsOf('LAB_E2E_HYPERVISORS', HYPERVISORS)) {
    for (const file of wordsOf('LAB_E2E_FILES', FILES)) {
      test(`test/e2e/${file}.test.ts holds on ${hypervisor} (4.1)`, { timeout: FILE_LIMIT_MS }, () => runFile(file, hypervisor));
    }
  }
});

async function runFile(file: string, hypervisor: string): Promise<void> {
  const drivers = environmentOf({ hypervisor, network: 'private', storage: 'copy' });
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const words = ['--no-function-context-cells', '--test-reporter=spec', join(FOLDER, `${file}.test.ts`)];
  const child = spawn(process.execPath, words, { stdio: 'inherit', env: { ...inherited, ...drivers } });
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0, 'what failed is told above');
}
