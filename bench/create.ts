import { join } from 'node:path';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import { type Original, argvOf, copyDisks, makeKeys, measureBareExec, measureBareSsh, socketDirectoryOf } from './bare-qemu.ts';
import { type Bench, type BenchContext, SIZE, banger, showVm, timed } from './bench.ts';
import { debvmImage, measureDebvm } from './debvm.ts';
import { type RowResult, measureRoundRobin } from './round-robin.ts';

/** Creates a VM, measures until `true` has run in it by `verb`, and deletes it (not measured). */
async function measureCreate(sandbox: Sandbox, name: string, verb: 'exec' | 'ssh'): Promise<number> {
  try {
    const createMs = await timed(sandbox, banger, 'vm', 'create', '--name', name, ...SIZE);
    return createMs + (await timed(sandbox, banger, 'vm', verb, name, '--', 'true'));
  } finally {
    await sandbox.must(['vm', 'delete', '--force', name]);
  }
}

/** @returns what bare QEMU needs; `pristine` gets disks that have never booted */
async function copyMachine(sandbox: Sandbox, pristine: string): Promise<Original> {
  const name = 'bench-original';
  await sandbox.must(['vm', 'create', '--name', name, ...SIZE, '--no-start']);
  try {
    const diskDirectory = (await showVm(sandbox, name)).paths.directory;
    await copyDisks(diskDirectory, pristine, sandbox.env);
    await sandbox.must(['vm', 'start', name], { timeoutMs: 300_000 });
    const argv = argvOf((await showVm(sandbox, name)).pid ?? 0);
    return { argv, diskDirectory, socketDirectory: socketDirectoryOf(argv) };
  } finally {
    await sandbox.must(['vm', 'delete', '--force', name]);
  }
}

async function run({ sandbox, scratch, rounds }: BenchContext): Promise<RowResult[]> {
  const { env } = sandbox;
  const [pristine, keys] = [join(scratch, 'pristine'), join(scratch, 'keys')];
  await makeKeys(keys, env);
  const setup = { original: await copyMachine(sandbox, pristine), pristine, keys, scratch, env };
  const image = await debvmImage({ ...env, HOME: process.env['HOME'] ?? '/' });
  return measureRoundRobin(
    [
      { name: 'bare QEMU, then exec', measure: () => measureBareExec(setup) },
      { name: 'banger, then exec', measure: (round) => measureCreate(sandbox, `exec-${round}`, 'exec') },
      { name: 'bare QEMU, then ssh', measure: () => measureBareSsh(setup) },
      { name: 'banger, then ssh', measure: (round) => measureCreate(sandbox, `ssh-${round}`, 'ssh') },
      // It leaves its kernel in TMPDIR when it is ended.
      { name: 'debvm-run, then ssh', measure: () => measureDebvm(image, { ...env, TMPDIR: scratch }) },
    ],
    rounds.slow,
  );
}

/** From nothing to the first command. */
export const createBench: Bench = {
  name: 'create',
  title: 'cold create',
  unit: 'ms',
  goals: {
    'banger, then exec': [{ against: 'bare QEMU, then exec', atMost: 1.03 }],
    'banger, then ssh': [
      { against: 'bare QEMU, then ssh', atMost: 1.05 },
      { against: 'debvm-run, then ssh', atMost: 0.125 },
    ],
  },
  run,
};
