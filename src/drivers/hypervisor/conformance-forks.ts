import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestContext, describe, test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import { askHealth, assertStill, bootIdOf, type HypervisorBench, startMachine } from './conformance-guest.ts';
import type { Hypervisor, Machine, MachineSpec } from './contract.ts';

/** What the suite of forks needs beside it. */
export type ForkBench = HypervisorBench & {
  /** Like `createSpec`: a machine of the same shape, with blank disks, at another place. */
  createForkSpec(t: TestContext): MachineSpec;
  /** Whether open channels to the first machine outlive a fork. */
  keepsChannels: boolean;
};

/** The contract's promises of forks, for any driver that has them. */
export function describeForks(name: string, bench: ForkBench): void {
  describe(`hypervisor contract, forks: ${name}`, () => {
    describeOutcomes(bench);
    describeInterruptions(bench);
  });
}

function describeOutcomes(bench: ForkBench): void {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);

  test('a fork, and a fork of one that stands still, go on as the same boot of the guest beside the first machine, which may end (10.4)', async (t) => {
    const { machine, spec } = await startMachine(t, bench);
    const before = await bootIdOf(machine, bench);
    const open = await machine.openAgentChannel(limit());
    const first = await forkOf(t, machine, bench);
    const answer = open.stream.destroyed ? 'closed' : await askHealth(open);
    assert.match(answer, bench.keepsChannels ? /^HTTP/ : /^closed$/, 'an open channel to the first machine');
    open.destroy();
    await assertStill(first.machine);
    const second = await forkOf(t, first.machine, bench);
    await assertStill(first.machine);
    await assertStill(second.machine);
    await first.machine.resume?.();
    await second.machine.resume?.();
    for (const one of [machine, first.machine, second.machine]) assert.equal(await bootIdOf(one, bench), before);
    await machine.terminate();
    await bench.createDriver().cleanUp(spec);
    for (const one of [first.machine, second.machine]) assert.equal(await bootIdOf(one, bench), before);
    assert.notDeepEqual(first.machine.process, second.machine.process);
    const third = await forkOf(t, second.machine, bench);
    await third.machine.resume?.();
    assert.equal(await bootIdOf(third.machine, bench), before);
  });
}

function describeInterruptions(bench: ForkBench): void {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);

  test('a fork that is cancelled, or whose VMM dies, at whatever moment, leaves the machine as it was and nothing else (10.4, 9.5)', async (t) => {
    const { machine, driver } = await startMachine(t, bench);
    const before = await bootIdOf(machine, bench);
    for (const delay of ['at once', 0, 20, 60, 120, 200, 400, 800, 'dies'] as const) {
      const spec = bench.createForkSpec(t);
      const end = new AbortController();
      if (delay === 'at once') end.abort();
      else if (delay !== 'dies') setTimeout(() => end.abort(), delay);
      const forked: Promise<unknown> = begin(machine, spec, end.signal).catch((error: unknown) => error);
      if (delay === 'dies') await killSoon(driver, spec);
      const outcome = await forked;
      if (outcome instanceof BangerError) assert.ok(['CANCELLED', 'VMM_FAILED'].includes(outcome.code), String(outcome));
      else await (outcome as Machine).terminate();
      assert.equal(await driver.find(spec), undefined, `after ${delay}`);
      await driver.cleanUp(spec);
      assert.equal(await bootIdOf(machine, bench), before, `after ${delay}`);
    }
    await forkOf(t, machine, bench);
  });

  test('a machine whose daemon ended in the middle of a fork goes on with the next one, and can be forked again (10.4, 1.2)', async (t) => {
    const { machine, driver, spec } = await startMachine(t, bench);
    const before = await bootIdOf(machine, bench);
    let present = machine;
    for (const delay of [0, 50, 100, 200, 400, 800]) {
      const other = bench.createForkSpec(t);
      const forked: Promise<unknown> = begin(present, other, limit()).catch((error: unknown) => error);
      await Promise.race([forked, sleep(delay)]);
      present.detach();
      const next = bench.createDriver();
      present = (await next.adopt(spec, machine.process)) ?? assert.fail();
      assert.equal(await bootIdOf(present, bench), before, `after ${delay} ms`);
      const left = await forked;
      if (!(left instanceof Error)) await (left as Machine).terminate();
      assert.equal(await driver.find(other), undefined);
      await driver.cleanUp(other);
    }
    const last = await forkOf(t, present, bench);
    await last.machine.resume?.();
    assert.equal(await bootIdOf(last.machine, bench), before);
    await present.terminate();
  });
}

/** Ends the VMM of a fork as soon as there is one; a driver without processes has none. */
async function killSoon(driver: Hypervisor, spec: MachineSpec): Promise<void> {
  for (let tries = 0; tries < 5000; tries++) {
    const found = await driver.find(spec);
    if (found === undefined) await sleep(1);
    else if (!existsSync(`/proc/${found.pid}`)) return;
    else return void process.kill(found.pid, 'SIGKILL');
  }
}

/** A fork that ends with the test. */
async function forkOf(t: TestContext, machine: Machine, bench: ForkBench): Promise<{ machine: Machine }> {
  const spec = bench.createForkSpec(t);
  const forked = await begin(machine, spec, AbortSignal.timeout(bench.bootLimitMs));
  t.after(async () => {
    await forked.terminate();
    forked.detach();
    await bench.createDriver().cleanUp(spec);
  });
  return { machine: forked };
}

async function begin(machine: Machine, spec: MachineSpec, signal: AbortSignal): Promise<Machine> {
  const directory = join(spec.runtimeDirectory, 'handed-over');
  mkdirSync(directory, { mode: 0o700 });
  try {
    return await (machine.fork?.(spec, directory, signal) ?? assert.fail('the driver has no forks'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
