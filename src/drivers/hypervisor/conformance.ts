import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, describe, test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import type { AgentChannel, Hypervisor, Machine, MachineSpec } from './contract.ts';

/** What the suite needs to test a driver. */
export type HypervisorBench = {
  /** A driver as a new daemon would make it; all of them see the same machines. */
  createDriver(): Hypervisor;
  /** A bootable machine in a fresh private directory, removed with the test. */
  createSpec(t: TestContext): MachineSpec;
  /** How long the guest agent may take to answer. */
  bootLimitMs: number;
  /** Whether the guest obeys `requestShutdown`; an initramfs without init does not. */
  obeysShutdown: boolean;
};

/** The contract's promises, proven on any driver (4.4). */
export function describeHypervisor(name: string, bench: HypervisorBench): void {
  describe(`hypervisor contract: ${name}`, () => {
    describeAgentChannels(bench);
    describeEnds(bench);
    describeSnapshots(bench);
    describeAdoption(bench);
    describeFailures(bench);
  });
}

async function startMachine(t: TestContext, bench: HypervisorBench): Promise<{ driver: Hypervisor; spec: MachineSpec; machine: Machine }> {
  const driver = bench.createDriver();
  const spec = bench.createSpec(t);
  const machine = await driver.start(spec, AbortSignal.timeout(bench.bootLimitMs));
  t.after(async () => {
    await machine.terminate();
    machine.detach();
    await driver.cleanUp(spec);
  });
  return { driver, spec, machine };
}

/** Asks GET /healthz on the channel. @returns the reply's status line and body */
const askHealth = (channel: AgentChannel): Promise<string> => askFor(channel, '/healthz');

async function askFor({ stream }: AgentChannel, path: string): Promise<string> {
  stream.write(`GET ${path} HTTP/1.1\r\n\r\n`);
  let reply = '';
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      stream.off('data', onData);
      stream.off('close', onClose);
      stream.pause();
    };
    const onClose = (): void => reject(new BangerError('AGENT_UNREACHABLE', 'closed'));
    const onData = (chunk: Buffer): void => {
      reply += chunk.toString('latin1');
      if (!/\r\n\r\n\{.*\}$/s.test(reply)) return;
      leave();
      resolve(reply);
    };
    stream.on('data', onData);
    stream.once('close', onClose);
    stream.resume();
  });
}

function describeAgentChannels(bench: HypervisorBench): void {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);

  test('two channels answer at once; one given back serves again; a destroyed one is replaced (4.2, 7.2)', async (t) => {
    const { machine } = await startMachine(t, bench);
    const [first, second] = await Promise.all([machine.openAgentChannel(limit()), machine.openAgentChannel(limit())]);
    assert.notEqual(first.stream, second.stream);
    for (const reply of await Promise.all([askHealth(first), askHealth(second)])) assert.match(reply, /^HTTP\/1\.1 200 .*"status":"ok"/s);
    first.release();
    first.release();
    const reused = await machine.openAgentChannel(limit());
    assert.match(await askHealth(reused), /^HTTP\/1\.1 200 /);
    // Stop in the middle of a request, so that only a new handshake can serve the next caller.
    second.stream.write('GET /healthz HT');
    second.destroy();
    reused.destroy();
    const after = await machine.openAgentChannel(limit());
    assert.match(await askHealth(after), /^HTTP\/1\.1 200 /);
    after.release();
  });

  test('as many channels as there are serve again after each was cut in mid-request (7.2)', async (t) => {
    const { machine } = await startMachine(t, bench);
    const openAll = (): Promise<AgentChannel[]> =>
      Promise.all(Array.from({ length: machine.channelCount }, () => machine.openAgentChannel(limit())));
    for (const channel of await openAll()) {
      channel.stream.write('POST /exec HTTP/1.1\r\nContent-Length: 999\r\n\r\n{');
      channel.destroy();
    }
    const again = await openAll();
    for (const channel of again) assert.match(await askHealth(channel), /^HTTP\/1\.1 200 /);
    const late = machine.openAgentChannel(AbortSignal.timeout(300));
    await assert.rejects(late, { code: 'AGENT_UNREACHABLE' }, 'one caller more waits only as long as it wants');
    const waiting = machine.openAgentChannel(limit());
    again[0]?.release();
    assert.match(await askHealth(await waiting), /^HTTP\/1\.1 200 /);
  });

  test('a wait for the agent ends when its caller gives up or the VMM ends (7.2)', async (t) => {
    const { machine } = await startMachine(t, bench);
    await assert.rejects(machine.openAgentChannel(AbortSignal.abort()), { code: 'AGENT_UNREACHABLE' });
    await machine.terminate();
    await assert.rejects(machine.openAgentChannel(AbortSignal.timeout(2000)), { code: 'AGENT_UNREACHABLE' });
  });
}

function describeEnds(bench: HypervisorBench): void {
  test('terminate ends the process, may be repeated, and `exited` says who did it (3.5)', async (t) => {
    const { machine, driver, spec } = await startMachine(t, bench);
    await Promise.all([machine.terminate(), machine.terminate()]);
    await machine.terminate();
    assert.equal((await machine.exited).cause, 'host-request');
    assert.equal(await driver.find(spec), undefined);
    await driver.cleanUp(spec);
    await driver.cleanUp(spec);
    assert.equal(existsSync(spec.vmmLogPath), true, 'logs stay');
  });

  test('a guest that powers off is told from one that was ended (3.5)', async (t) => {
    const { machine } = await startMachine(t, bench);
    const channel = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
    const body = '{"reboot":false}';
    channel.stream.write(`POST /poweroff HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    channel.stream.resume();
    assert.equal((await machine.exited).cause, 'guest-poweroff');
  });

  test('requestShutdown returns at once whether or not the guest obeys (3.5)', async (t) => {
    const { machine } = await startMachine(t, bench);
    await machine.requestShutdown();
    if (bench.obeysShutdown) assert.equal((await machine.exited).cause, 'guest-poweroff');
  });

  test('a paused machine continues where it was (4.2)', async (t) => {
    const { machine } = await startMachine(t, bench);
    if (machine.pause === undefined || machine.resume === undefined) return t.skip('this driver cannot pause');
    const before = await bootIdOf(machine, bench);
    for (let time = 0; time < 2; time++) {
      const open = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
      await machine.pause();
      await machine.resume();
      assert.equal(await bootIdOf(machine, bench), before);
      open.destroy();
    }
  });

  test('disks that are held and let go again, twice, leave the guest as it was (4.2, 5.4)', async (t) => {
    const { machine } = await startMachine(t, bench);
    if (machine.holdDisks === undefined) return t.skip('this driver cannot hold disks');
    // A guest that has not mounted them yet would wait.
    const before = await bootIdOf(machine, bench);
    for (const isHeld of [true, true, false, false]) {
      await machine.holdDisks(isHeld);
      assert.equal(await bootIdOf(machine, bench), before);
    }
  });
}

type Snapshots = { create: NonNullable<Machine['createSnapshot']>; restore: NonNullable<Hypervisor['restore']>; directory: string };

/** @returns undefined, the test being skipped, when the driver has no snapshots */
function snapshotsOf(t: TestContext, machine: Machine, driver: Hypervisor, spec: MachineSpec): Snapshots | undefined {
  if (machine.createSnapshot === undefined) {
    t.skip('this driver has no snapshots');
    return undefined;
  }
  assert.ok(driver.restore !== undefined && machine.resume !== undefined, 'a driver that makes snapshots restores them');
  const directory = join(spec.runtimeDirectory, 'snapshot');
  mkdirSync(directory, { mode: 0o700 });
  return { create: machine.createSnapshot.bind(machine), restore: driver.restore.bind(driver), directory };
}

function describeSnapshots(bench: HypervisorBench): void {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);

  test('a snapshot is restored in another process, and goes on as the same boot of the guest without the files (4.1, 10.5)', async (t) => {
    const { machine, driver, spec } = await startMachine(t, bench);
    const snapshots = snapshotsOf(t, machine, driver, spec);
    if (snapshots === undefined) return;
    const { create, restore, directory } = snapshots;
    const before = await bootIdOf(machine, bench);
    await create(directory, limit());
    await assertStill(machine);
    await machine.terminate();
    await driver.cleanUp(spec);
    const restored = await restore(spec, directory, limit());
    t.after(() => restored.terminate());
    assert.notDeepEqual(restored.process, machine.process);
    await assertStill(restored);
    rmSync(directory, { recursive: true });
    await restored.resume?.();
    assert.equal(await bootIdOf(restored, bench), before);
    await restored.terminate();
    await driver.cleanUp(spec);
    await assert.rejects(restore(spec, directory, limit()), { code: 'SNAPSHOT_UNUSABLE' });
    assert.equal(await driver.find(spec), undefined);
    await driver.cleanUp(spec);
  });

  test('a machine goes on after a snapshot that failed or was cancelled, when it is resumed, and when whoever adopts it resumes it (10.5, 9.5)', async (t) => {
    const { machine, driver, spec } = await startMachine(t, bench);
    const snapshots = snapshotsOf(t, machine, driver, spec);
    if (snapshots === undefined) return;
    const { create, directory } = snapshots;
    const before = await bootIdOf(machine, bench);
    await assert.rejects(create(join(directory, 'nowhere'), limit()));
    assert.equal(await bootIdOf(machine, bench), before, 'after a failure');
    await assert.rejects(create(directory, AbortSignal.abort()), { code: 'CANCELLED' });
    assert.equal(await bootIdOf(machine, bench), before, 'after a cancel');
    for (const who of ['resume', 'adopt'] as const) {
      rmSync(directory, { recursive: true });
      mkdirSync(directory, { mode: 0o700 });
      await create(directory, limit());
      if (who === 'adopt') machine.detach();
      const present = who === 'resume' ? machine : await bench.createDriver().adopt(spec, machine.process);
      await present?.resume?.();
      assert.ok(present !== undefined);
      assert.equal(await bootIdOf(present, bench), before, who);
      if (present !== machine) await present.terminate();
    }
  });

  describeRefusals(bench);
}

function describeRefusals(bench: HypervisorBench): void {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);

  test('a snapshot is refused where the machine is another one, and where it cannot be read, and is as good as before (10.5)', async (t) => {
    const { machine, driver, spec } = await startMachine(t, bench);
    const snapshots = snapshotsOf(t, machine, driver, spec);
    if (snapshots === undefined) return;
    const { create, restore, directory } = snapshots;
    await create(directory, limit());
    await machine.terminate();
    await driver.cleanUp(spec);
    const changes: [RegExp, Partial<MachineSpec>][] = [
      [/memory \(MiB\) changed from (\d+) to \d+/, { memoryMib: spec.memoryMib + 1 }],
      [/vCPUs changed from \d+ to/, { vcpuCount: spec.vcpuCount + 1 }],
      [/kernel changed/, { kernelPath: spec.initramfsPath }],
      [/initramfs with the guest agent changed/, { initramfsPath: spec.kernelPath }],
    ];
    for (const [message, change] of changes) {
      await assert.rejects(restore({ ...spec, ...change }, directory, limit()), { code: 'SNAPSHOT_UNUSABLE', message });
    }
    assert.equal(await driver.find(spec), undefined);
    const useless = join(spec.runtimeDirectory, 'useless');
    cpSync(directory, useless, { recursive: true });
    writeFileSync(join(useless, 'state'), 'nonsense');
    await assert.rejects(restore(spec, useless, limit()), { code: 'VMM_FAILED' });
    assert.equal(await driver.find(spec), undefined);
    await driver.cleanUp(spec);
    await (await restore(spec, directory, limit())).terminate();
  });
}

/** Whoever has a channel still, hears nothing on it either. */
async function assertStill(machine: Machine): Promise<void> {
  const silence = AbortSignal.timeout(200);
  const channel = await machine.openAgentChannel(silence).catch(() => undefined);
  if (channel === undefined) return;
  const answer = askHealth(channel).catch(() => 'closed');
  const ended = new Promise<string>((resolve) => silence.addEventListener('abort', () => resolve('silence'), { once: true }));
  assert.doesNotMatch(await Promise.race([answer, ended]), /^HTTP/);
  channel.destroy();
}

async function bootIdOf(machine: Machine, bench: HypervisorBench): Promise<string> {
  const channel = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
  const reply = await askFor(channel, '/info');
  channel.release();
  return /"bootId":"([^"]+)"/.exec(reply)?.[1] ?? assert.fail(reply);
}

function describeAdoption(bench: HypervisorBench): void {
  test('a second daemon adopts the machine, talks to its agent and learns of its end (3.8)', async (t) => {
    const { machine, spec } = await startMachine(t, bench);
    const before = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
    before.stream.write('GET /healthz HT');
    before.destroy();
    machine.detach();
    const adopted = await bench.createDriver().adopt(spec, machine.process);
    assert.ok(adopted !== undefined);
    assert.deepEqual(adopted.process, machine.process);
    const channel = await adopted.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
    assert.match(await askHealth(channel), /^HTTP\/1\.1 200 /);
    channel.release();
    await adopted.terminate();
    assert.equal((await adopted.exited).cause, 'host-request');
  });

  test('a pid with another start time is not adopted, and the machine is found without any record (3.8)', async (t) => {
    const { machine, driver, spec } = await startMachine(t, bench);
    machine.detach();
    const other = { ...machine.process, startTicks: machine.process.startTicks + 1 };
    assert.equal(await bench.createDriver().adopt(spec, other), undefined);
    assert.equal(await bench.createDriver().adopt(spec, { pid: process.pid, startTicks: 1 }), undefined);
    assert.deepEqual(await driver.find(spec), machine.process);
    const elsewhere = bench.createSpec(t);
    assert.equal(await driver.find(elsewhere), undefined);
    assert.equal(await driver.adopt(elsewhere, machine.process), undefined, 'a machine of another directory');
  });
}

function describeFailures(bench: HypervisorBench): void {
  test('without its kernel a machine does not start, and the error names the log (3.3)', async (t) => {
    const driver = bench.createDriver();
    const spec = { ...bench.createSpec(t), kernelPath: '/nonexistent/vmlinux' };
    await assert.rejects(driver.start(spec, AbortSignal.timeout(bench.bootLimitMs)), (error: unknown) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.code, 'VMM_FAILED');
      assert.equal(error.logPath, spec.vmmLogPath);
      return true;
    });
    assert.equal(await driver.find(spec), undefined);
    await driver.cleanUp(spec);
  });

  test('a start that is cancelled, at whatever moment, leaves no process (9.5)', async (t) => {
    const driver = bench.createDriver();
    await driver.checks();
    const delays = ['at once', 0, 5, 20, 40, 60] as const;
    for (const delay of delays) {
      const spec = bench.createSpec(t);
      const signal = delay === 'at once' ? AbortSignal.abort() : AbortSignal.timeout(delay);
      const outcome = await driver.start(spec, signal).catch((error: unknown) => error);
      if (outcome instanceof BangerError) assert.equal(outcome.code, 'CANCELLED');
      else await (outcome as Machine).terminate();
      assert.equal(await driver.find(spec), undefined, `cancelled after ${delay} ms`);
      await driver.cleanUp(spec);
    }
  });
}
