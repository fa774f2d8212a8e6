import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSpec, fakeFirecracker } from '../../../../test/support/vmm/firecracker/bench.ts';
import { realHost } from '../../../host/host.ts';
import type { Machine, MachineSpec } from '../contract.ts';
import { createFirecrackerHypervisor } from './driver.ts';
import { listenForLastWord } from './last-word.ts';
import { judgeExit } from './vmm-process.ts';

const settings = fakeFirecracker();

async function startMachine(t: TestContext, kernelArguments: string[] = []): Promise<{ machine: Machine; spec: MachineSpec }> {
  const spec = { ...createSpec(t), kernelArguments };
  const driver = createFirecrackerHypervisor({ host: realHost, settings });
  const machine = await driver.start(spec, AbortSignal.timeout(20_000));
  t.after(async () => {
    await machine.terminate();
    await driver.cleanUp(spec);
  });
  return { machine, spec };
}

async function powerOff(machine: Machine, reboot: boolean): Promise<void> {
  const { stream } = await machine.openAgentChannel(AbortSignal.timeout(10_000));
  const body = JSON.stringify({ reboot });
  stream.end(`POST /poweroff HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  stream.resume();
}

test('a clean end is what the guest announced, and a reset without an announcement (3.5)', () => {
  const clean = { terminated: false, shutdownAsked: false, status: { exitCode: 0, signal: null } };
  assert.equal(judgeExit({ ...clean, lastWord: 'poweroff' }).cause, 'guest-poweroff');
  assert.equal(judgeExit({ ...clean, lastWord: 'reboot' }).cause, 'guest-reset');
  assert.equal(judgeExit(clean).cause, 'guest-reset');
  assert.equal(judgeExit({ ...clean, shutdownAsked: true, lastWord: 'reboot' }).cause, 'guest-poweroff', 'Ctrl-Alt-Del is a reboot');
  assert.equal(judgeExit({ ...clean, terminated: true, lastWord: 'poweroff' }).cause, 'guest-poweroff', 'it was quicker');
});

test('an unexpected end is a crash, described in words (3.5)', () => {
  const ended = (exitCode: number | null, signal: NodeJS.Signals | null = null) =>
    judgeExit({ terminated: false, shutdownAsked: false, lastWord: 'poweroff', status: { exitCode, signal } });
  for (const code of [1, 2, 149, 150, 151, 152, 153, 154, 156, 157]) {
    assert.equal(ended(code).cause, 'crash');
    assert.match(ended(code).detail, new RegExp(`^ended with status ${code}: .{10}`));
  }
  assert.equal(ended(148).cause, 'forbidden-call');
  assert.match(ended(148).detail, /^ended with status 148: .*system call/);
  assert.equal(ended(null, 'SIGSYS').cause, 'forbidden-call');
  assert.match(ended(null, 'SIGABRT').detail, /SIGABRT/);
});

test("without a status the guest's announcement decides, then the driver's own action (3.5)", () => {
  const adopted = { terminated: false, shutdownAsked: false };
  assert.equal(judgeExit(adopted).cause, 'unknown');
  assert.equal(judgeExit({ ...adopted, lastWord: 'reboot' }).cause, 'guest-reset');
  assert.equal(judgeExit({ ...adopted, terminated: true }).cause, 'host-request');
});

test('a reboot, a power-off and a dead VMM are distinguished (3.5)', async (t) => {
  const { machine } = await startMachine(t);
  await powerOff(machine, true);
  assert.deepEqual(await machine.exited, { cause: 'guest-reset', detail: 'the guest rebooted' });
  const crashing = (await startMachine(t, ['fake.exit=149'])).machine;
  assert.equal((await crashing.exited).cause, 'crash');
  const killed = (await startMachine(t)).machine;
  process.kill(killed.process.pid, 'SIGSEGV');
  assert.deepEqual(await killed.exited, { cause: 'crash', detail: 'ended by SIGSEGV' });
});

test('the end of a VMM by its system call filter is distinguished from a crash (3.5)', async (t) => {
  const trapped = (await startMachine(t, ['fake.exit=148'])).machine;
  assert.equal((await trapped.exited).cause, 'forbidden-call');
  const killed = (await startMachine(t)).machine;
  process.kill(killed.process.pid, 'SIGSYS');
  assert.deepEqual(await killed.exited, { cause: 'forbidden-call', detail: 'ended by SIGSYS' });
});

test('a daemon that adopted a machine hears its last word too (3.8)', async (t) => {
  const { machine, spec } = await startMachine(t);
  machine.detach();
  const adopted = await createFirecrackerHypervisor({ host: realHost, settings }).adopt(spec, machine.process);
  assert.ok(adopted !== undefined);
  await powerOff(adopted, false);
  assert.equal((await adopted.exited).cause, 'guest-poweroff');
});

test('a guest that powers off while no daemon is there ends all the same (3.8)', async (t) => {
  const { machine } = await startMachine(t);
  await powerOff(machine, false);
  machine.detach();
  await machine.exited;
});

test('metrics, limits and disks of a running machine go through its API (4.1)', async (t) => {
  const { machine, spec } = await startMachine(t);
  assert.equal(typeof (await machine.readMetrics?.())?.['utc_timestamp_ms'], 'number');
  await machine.setLimits?.({ disk: { operationsPerSecond: 100 } });
  await machine.updateDisk?.(0, spec.kernelPath);
  await assert.rejects(machine.updateDisk?.(0, '/nonexistent') ?? Promise.resolve(), { code: 'VMM_FAILED' });
  await assert.rejects(machine.updateDisk?.(7) ?? Promise.resolve(), { code: 'INVALID_INPUT' });
});

test('the guest is believed in two words only, and only so many bytes are heard (9.4)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-word-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const heard: string[] = [];
  const path = join(directory, 'w');
  const listener = await listenForLastWord(path, (word) => heard.push(word));
  t.after(() => listener.close());
  const say = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      const socket = connect({ path }).on('data', (chunk) => (answer += chunk.toString()));
      socket.on('error', () => undefined).once('close', () => resolve(answer));
      socket.write(text);
    });
  assert.equal(await say('poweroff\n'), 'ok\n');
  assert.equal(await say('x'.repeat(1000)), '');
  assert.equal(await say('poweroff now\n'), '', 'given up after a second');
  assert.deepEqual(heard, ['poweroff']);
});
