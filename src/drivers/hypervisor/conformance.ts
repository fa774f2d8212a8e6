import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import { askHealth, bootIdOf, type HypervisorBench, startMachine } from './conformance-guest.ts';
import { describeSnapshots } from './conformance-snapshots.ts';
import type { AgentChannel, Machine } from './contract.ts';

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

function describeAdoption(bench: HypervisorBench): void {
  test('a second daemon adopts the machine, talks to its agent, has control of its disks and learns of its end (3.8)', async (t) => {
    const { machine, spec } = await startMachine(t, bench);
    const before = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
    before.stream.write('GET /healthz HT');
    before.destroy();
    machine.detach();
    // It knows the disks and the TAP only once everything else of the VM is there again.
    const network = spec.network.kind === 'user' ? spec.network : ({ kind: 'none' } as const);
    const adopted = await bench.createDriver().adopt({ ...spec, disks: [], network }, machine.process);
    assert.ok(adopted !== undefined);
    assert.deepEqual(adopted.process, machine.process);
    await adopted.updateDisk?.(0);
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
