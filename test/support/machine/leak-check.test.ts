import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type LeakScope, leaksBetween, takeSnapshot } from './leak-check.ts';

function makeScope(t: TestContext): LeakScope & { directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-leak-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return { runId: `leak-${process.pid}-${Math.random()}`, directories: [directory], mayStay: (path) => path.endsWith('.log'), directory };
}

async function startSleeper(t: TestContext, argv: string[], env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(argv[0] ?? '', argv.slice(1), { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  await once(child, 'spawn');
  return child;
}

test('nothing made, nothing found', (t) => {
  const scope = makeScope(t);
  assert.deepEqual(leaksBetween(takeSnapshot(scope), takeSnapshot(scope)), []);
});

test('a process is found by the marker in its environment (9.5)', async (t) => {
  const scope = makeScope(t);
  const before = takeSnapshot(scope);
  const child = await startSleeper(t, ['sleep', '60'], { BANGER_TEST_RUN: scope.runId });
  assert.deepEqual(leaksBetween(before, takeSnapshot(scope)), [`process ${child.pid} sleep 60`]);
});

test('a process without the marker is found by a directory of the test in its arguments (9.5)', async (t) => {
  const scope = makeScope(t);
  const child = await startSleeper(t, ['tail', '-f', '/dev/null', join(scope.directory, 'x')], {});
  assert.deepEqual(leaksBetween(new Set(), takeSnapshot(scope)).length, 1);
  const stranger = { ...makeScope(t), runId: 'other' };
  assert.deepEqual(leaksBetween(new Set(), takeSnapshot(stranger)), [], `${child.pid} belongs to another test`);
});

test('a namespace is named with the process that holds it (9.5)', async (t) => {
  const scope = makeScope(t);
  await startSleeper(t, ['unshare', '--user', '--net', 'sleep', '60'], { BANGER_TEST_RUN: scope.runId });
  const deadline = performance.now() + 5000;
  let leaks: string[] = [];
  const expected = /^process \d+ sleep 60 \[net user\]$/;
  while (!expected.test(leaks.join()) && performance.now() < deadline) leaks = leaksBetween(new Set(), takeSnapshot(scope));
  assert.match(leaks.join(), expected);
});

test('a forgotten file is found, a log may stay (9.5)', (t) => {
  const scope = makeScope(t);
  const before = takeSnapshot(scope);
  mkdirSync(join(scope.directory, 'vms/1'), { recursive: true });
  for (const name of ['root.qcow2', 'serial.log']) writeFileSync(join(scope.directory, 'vms/1', name), '');
  assert.deepEqual(leaksBetween(before, takeSnapshot(scope)), [`file ${scope.directory}/vms/1/root.qcow2`]);
});

test('a listener on an address of a VM is found when a process of the test holds it, and not when another does (9.5)', async (t) => {
  const scope = makeScope(t);
  const script = "require('net').createServer().listen(18080, '127.213.255.9', () => console.log('up'))";
  const child = spawn(process.execPath, ['-e', script], { env: { BANGER_TEST_RUN: scope.runId }, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  const foreign = createServer().listen(18080, '127.213.255.10');
  t.after(() => foreign.close());
  await once(foreign, 'listening');
  const listeners = [...takeSnapshot(scope)].filter((line) => line.startsWith('listener'));
  assert.deepEqual(listeners, ['listener tcp 127.213.255.9:18080']);
});

test('a TAP and a named namespace are found (9.5)', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async (t) => {
  const scope = makeScope(t);
  const before = takeSnapshot(scope);
  const name = `bgr-${Math.random().toString(16).slice(2, 10)}`;
  const ip = async (...args: string[]): Promise<void> => {
    const [status] = (await once(spawn('ip', args, { stdio: 'inherit' }), 'exit')) as [number];
    assert.equal(status, 0, `ip ${args.join(' ')}`);
  };
  await ip('netns', 'add', name);
  t.after(() => ip('netns', 'del', name));
  await ip('tuntap', 'add', name, 'mode', 'tap');
  t.after(() => ip('link', 'del', name));
  const found = leaksBetween(before, takeSnapshot(scope)).filter((line) => line.includes(name));
  assert.deepEqual(found, [`link ${name}`, `namespace ${name}`]);
});
