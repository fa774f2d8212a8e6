import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { renderConformance } from './conformance-table.ts';
import contractReporter from './contract-reporter.ts';
import type { ContractResult } from './contract-reporter.ts';
import { jobOf, quoted } from './job.ts';
import { countTests, hasRuns } from './job-output.ts';
import { withLock } from './lock.ts';
import { machineArgv } from './machine.ts';

test('tests below test/lab/user run as an ordinary user, all others as root', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'test/lab/user'), { recursive: true });
  for (const name of ['a.test.ts', 'user/b.test.ts', 'user/b-inside.ts']) writeFileSync(join(root, 'test/lab', name), '');
  const scriptOf = (paths: string[]): string[] => jobOf({ verb: 'test', paths, environment: {}, root }).script.trim().split('\n');
  const [asUser = '', asRoot = '', ...rest] = scriptOf([]);
  assert.match(asUser, /^as_dev .* test\/lab\/user\/b\.test\.ts; end_run \$\?$/);
  assert.match(asRoot, /^as_root .* test\/lab\/a\.test\.ts; end_run \$\?$/);
  assert.deepEqual(rest, []);
  assert.deepEqual(scriptOf(['test/lab/a.test.ts']), [asRoot]);
  assert.deepEqual(scriptOf(['test/lab/user']), [asUser]);
});

test('Firecracker is handed in when it is named, and named inside', () => {
  const environment = { BANGER_FIRECRACKER: '/opt/fc/firecracker', BANGER_JAILER: '', HOME: '/root' };
  const job = jobOf({ verb: 'shell', paths: [], environment, root: '/x' });
  assert.deepEqual(job.programs, { firecracker: '/opt/fc/firecracker' });
  assert.equal(job.environment['BANGER_FIRECRACKER'], '/srv/banger/.lab/bin/firecracker');
  assert.equal(job.environment['BANGER_JAILER'], undefined);
});

test('what tests are told by their environment reaches them', () => {
  const { environment } = jobOf({ verb: 'shell', paths: [], environment: { LAB_CYCLES: '50', LAB_COMMAND: 'true' }, root: '/x' });
  assert.equal(environment['LAB_CYCLES'], '50');
  assert.equal(environment['LAB_COMMAND'], undefined);
});

test('any word reaches the lab as it is', () => {
  for (const word of ["it's", '$HOME `x` "y" \\', 'two\nlines', '', 'a/b-c.ts']) {
    assert.equal(spawnSync('sh', ['-c', `printf %s ${quoted(word)}`], { encoding: 'utf8' }).stdout, word);
  }
});

test('the counts of all runs are summed, and those of a runner under test are not', () => {
  const run = (pass: number): string => `ℹ pass 77\nℹ fail 7\nmore\nℹ pass ${pass}\nℹ fail 1\nℹ skipped 2\nlab: end of a run\n`;
  assert.deepEqual(countTests(`${run(3)}${run(4)}`), { pass: 7, fail: 2, skipped: 4 });
  assert.deepEqual(countTests('ℹ pass 9\n'), { pass: 0, fail: 0, skipped: 0 }, 'a run that did not end counts for nothing');
  assert.equal(hasRuns('ℹ pass 9\n'), false);
});

test('no disk of the machine is written, and nothing leaves it', () => {
  const image = { kernel: 'k', initramfs: 'i', root: 'r', xfs: 'x', directories: [] };
  const argv = machineArgv({ disks: { image, checkout: 'c', modules: 'm', bundle: 'b' }, directory: '/d', interactive: false });
  const drives = argv.filter((_, at) => argv[at - 1] === '-drive');
  assert.equal(drives.length, 5);
  for (const drive of drives) assert.match(drive, /,(snapshot|readonly)=on$/);
  assert.match(argv[argv.indexOf('-netdev') + 1] ?? '', /\brestrict=on\b/);
});

test('one waits while another holds the lock, and a killed holder frees it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'lock');
  const script = `import { withLock } from './lock.ts'; await withLock('${path}', async () => { console.log('held'); await new Promise((r) => setTimeout(r, 60000)); });`;
  const argv = ['--input-type=module-typescript', '-e', script];
  const other = spawn(process.execPath, argv, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  let entered = false;
  const waiting = withLock(path, async () => void (entered = true));
  await sleep(300);
  assert.equal(entered, false);
  other.kill('SIGKILL');
  await waiting;
  assert.equal(entered, true);
});

test('results of contract tests name kind, driver, promise and outcome; other tests are left out', async () => {
  const file = '/x/src/drivers/network/conformance.ts';
  const passed = (name: string, nesting: number, more: object): object => ({
    type: 'test:pass',
    data: { name, nesting, file, details: { duration_ms: 1 }, ...more },
  });
  const started = (name: string, nesting: number): object => ({ type: 'test:start', data: { name, nesting, file } });
  const events = [
    ...[started('network driver tap', 0), started('it works (6.1)', 1), passed('it works (6.1)', 1, {})],
    ...[started('it hurts (6.2)', 1), { ...passed('it hurts (6.2)', 1, {}), type: 'test:fail' }],
    passed('network driver tap', 0, { details: { duration_ms: 1, type: 'suite' } }),
    ...[started('copy: it copies (5.1)', 0), passed('copy: it copies (5.1)', 0, { skip: 'no disk' })],
    ...[started('other', 0), passed('other', 0, { file: '/x/src/a.test.ts' })],
  ];
  const lines = await Array.fromAsync(contractReporter(events.values() as never));
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as ContractResult),
    [
      { kind: 'network', driver: 'tap', promise: 'it works (6.1)', outcome: 'pass' },
      { kind: 'network', driver: 'tap', promise: 'it hurts (6.2)', outcome: 'fail' },
      { kind: 'network', driver: 'copy', promise: 'it copies (5.1)', outcome: 'skip' },
    ],
  );
});

test('the table says of each driver what it keeps on which machine', () => {
  const result = (driver: string, outcome: ContractResult['outcome']): ContractResult => ({
    kind: 'storage',
    driver,
    promise: 'grows',
    outcome,
  });
  const text = renderConformance({
    here: [result('copy', 'pass')],
    lab: [result('copy', 'pass'), result('copy', 'fail'), result('dm', 'skip')],
  });
  assert.match(text, /^\| promise \| copy \| dm \|$/m);
  assert.match(text, /^\| grows \| yes \/ \*\*no\*\* \| - \/ skipped \|$/m);
});
