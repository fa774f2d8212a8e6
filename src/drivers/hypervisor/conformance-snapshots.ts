import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import { assertStill, bootIdOf, type HypervisorBench, noteOf, putNote, startMachine } from './conformance-guest.ts';
import type { Hypervisor, Machine, MachineSpec } from './contract.ts';

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

/** The promises of drivers with snapshots. */
export function describeSnapshots(bench: HypervisorBench): void {
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

  describeClones(bench);
  describeRefusals(bench);
}

/** A snapshot whose memory is a file, and whose machine has ended. @returns undefined, the test being skipped, when the driver has none */
async function makeShared(t: TestContext, bench: HypervisorBench): Promise<(Omit<Snapshots, 'create'> & Origin) | undefined> {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);
  const driver = bench.createDriver();
  const plain = bench.createSpec(t);
  const directory = join(plain.runtimeDirectory, 'snapshot');
  mkdirSync(directory, { mode: 0o700 });
  const spec = { ...plain, memoryPath: join(directory, 'memory') };
  const machine = await driver.start(spec, limit());
  t.after(() => machine.terminate());
  if (machine.createSnapshot === undefined || driver.restore === undefined) {
    t.skip('this driver has no snapshots');
    return undefined;
  }
  const bootId = await bootIdOf(machine, bench);
  await machine.createSnapshot(directory, limit());
  await machine.terminate();
  await driver.cleanUp(spec);
  return { driver, spec, bootId, directory, restore: driver.restore.bind(driver) };
}

type Origin = { driver: Hypervisor; spec: MachineSpec; bootId: string };

/** @returns another machine of the same kind, with copies of its disks */
function specLike(t: TestContext, bench: HypervisorBench, { disks }: MachineSpec, number: number): MachineSpec {
  const spec = bench.createSpec(t);
  for (const [at, { path }] of spec.disks.entries()) cpSync(disks[at]?.path ?? path, path);
  const { network } = spec;
  return {
    ...spec,
    vmId: `${number}`.repeat(32),
    vmName: `clone-${number}`,
    network: network.kind === 'none' ? network : { ...network, macAddress: `02:00:00:00:01:0${number}` },
  };
}

/** All files of a directory by what is in them. */
const contentsOf = (directory: string): string[] =>
  readdirSync(directory)
    .toSorted()
    .map(
      (name) =>
        `${name} ${createHash('sha256')
          .update(readFileSync(join(directory, name)))
          .digest('hex')}`,
    );

function describeClones(bench: HypervisorBench): void {
  const limit = (): AbortSignal => AbortSignal.timeout(bench.bootLimitMs);
  const numbers = [1, 2, 3];

  test('machines of one snapshot run at once, each with a memory of its own, and one gives a snapshot again (4.1, 10.5)', async (t) => {
    const shared = await makeShared(t, bench);
    if (shared === undefined) return;
    const { driver, spec, bootId, directory, restore } = shared;
    const before = contentsOf(directory);
    const specs = numbers.map((number) => specLike(t, bench, spec, number));
    for (const { path } of spec.disks) rmSync(path);
    const clones = await Promise.all(specs.map((one) => restore(one, directory, limit())));
    t.after(() => Promise.all(clones.map((clone) => clone.terminate())));
    for (const [at, clone] of clones.entries()) {
      await clone.resume?.();
      assert.equal(await bootIdOf(clone, bench), bootId);
      await putNote(clone, bench, `of ${at}`);
    }
    assert.deepEqual(await Promise.all(clones.map((clone) => noteOf(clone, bench))), ['of 0', 'of 1', 'of 2']);
    assert.deepEqual(contentsOf(directory), before, 'the snapshot is as it was');
    const [first, second] = clones;
    const [own] = specs;
    assert.ok(first !== undefined && second !== undefined && own !== undefined);
    const again = join(own.runtimeDirectory, 'again');
    mkdirSync(again, { mode: 0o700 });
    await first.createSnapshot?.(again, limit());
    rmSync(directory, { recursive: true });
    await putNote(second, bench, 'without the files');
    await first.terminate();
    await driver.cleanUp(own);
    const grandchild = await restore(own, again, limit());
    t.after(() => grandchild.terminate());
    await grandchild.resume?.();
    assert.equal(await noteOf(grandchild, bench), 'of 0');
    assert.equal(await noteOf(second, bench), 'without the files');
  });

  test('a restore that is cancelled leaves no process, and the snapshot serves the next (9.5, 10.5)', async (t) => {
    const shared = await makeShared(t, bench);
    if (shared === undefined) return;
    const { driver, spec, bootId, directory, restore } = shared;
    const before = contentsOf(directory);
    for (const [at, delay] of (['at once', 0, 10, 30] as const).entries()) {
      const clone = specLike(t, bench, spec, at + 1);
      const signal = delay === 'at once' ? AbortSignal.abort() : AbortSignal.timeout(delay);
      const outcome = await restore(clone, directory, signal).catch((error: unknown) => error);
      if (outcome instanceof BangerError) assert.equal(outcome.code, 'CANCELLED', outcome.message);
      else await (outcome as Machine).terminate();
      assert.equal(await driver.find(clone), undefined);
      await driver.cleanUp(clone);
    }
    assert.deepEqual(contentsOf(directory), before);
    const clone = await restore(specLike(t, bench, spec, 9), directory, limit());
    t.after(() => clone.terminate());
    await clone.resume?.();
    assert.equal(await bootIdOf(clone, bench), bootId);
  });
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
