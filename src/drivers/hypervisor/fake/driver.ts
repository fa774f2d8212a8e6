import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Hypervisor, Machine, MachineSpec } from '../contract.ts';
import { assertSameKey, commonKey, memoryFile, type SnapshotKey, writeKey } from '../snapshot-key.ts';
import { CHANNEL_COUNT, FakeChannels } from './channels.ts';
import { copyGuest, type FakeGuest } from './guest.ts';
import type { FakeVmm, FakeWorld } from './world.ts';

const DISK_HEAD_BYTES = 1024 ** 2;

/** A VMM in memory, to test everything above it: the same contract and protocol, in milliseconds. */
export function createFakeHypervisor({ host, world }: { host: Host; world: FakeWorld }): Hypervisor {
  const runningOf = (spec: MachineSpec): FakeVmm | undefined => world.machines.get(spec.runtimeDirectory);
  return {
    name: 'fake',
    takes: { diskFormats: ['raw', 'device', 'qcow2'], networks: ['tap', 'user', 'none'] },
    checks: () =>
      Promise.resolve({
        accelerator: 'tcg',
        version: 'fake 1.0',
        findings: [{ name: 'fake', level: 'pass', reason: 'machines exist in memory only' }],
      }),
    start: (spec, signal) => start(host, world, spec, signal),
    restore: async (spec, directory, signal) => {
      const hasMemoryFile = await host.exists(memoryFile(directory));
      await assertSameKey(host, directory, spec, await snapshotKey(host, spec, hasMemoryFile));
      const guest = world.memories.get((await host.readIfThere(stateFile(directory))) ?? '');
      if (guest === undefined) throw new BangerError('VMM_FAILED', 'the fake VMM cannot read the snapshot', { logPath: spec.vmmLogPath });
      return start(host, world, spec, signal, guest);
    },
    adopt: (spec, process) => {
      const vmm = runningOf(spec);
      const isSame = vmm?.process.pid === process.pid && vmm.process.startTicks === process.startTicks;
      if (vmm === undefined || !isSame) return Promise.resolve(undefined);
      const answers = !vmm.hung && !world.has(spec.vmName, 'refuse-adoption');
      return answers
        ? Promise.resolve(control(host, world, vmm))
        : Promise.reject(new BangerError('VMM_FAILED', 'the fake VMM does not answer'));
    },
    find: (spec) => Promise.resolve(runningOf(spec)?.process),
    cleanUp: () => Promise.resolve(),
  };
}

/** @param guest that is restored, and stands still; default: one that boots */
async function start(host: Host, world: FakeWorld, spec: MachineSpec, signal: AbortSignal, guest?: FakeGuest): Promise<Machine> {
  if (world.has(spec.vmName, 'hang-at-start') && !signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  if (signal.aborted) throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`);
  const needed = [spec.kernelPath, spec.initramfsPath, ...spec.disks.map((disk) => disk.path)];
  const there = await Promise.all(needed.map((path) => host.exists(path)));
  writeLog(host, spec.vmmLogPath, `fake VMM of ${spec.vmName}\n`);
  if (there.includes(false) || world.has(spec.vmName, 'fail-at-start')) {
    throw new BangerError('VMM_FAILED', `the fake VMM did not start for ${spec.vmName}`, { logPath: spec.vmmLogPath });
  }
  if (signal.aborted) throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`);
  if (guest === undefined && spec.memoryPath !== undefined) await host.touch(spec.memoryPath);
  const vmm = world.spawn(spec, guest);
  vmm.hasMemoryFile = guest === undefined && spec.memoryPath !== undefined;
  vmm.paused = guest !== undefined;
  writeLog(host, spec.serialLogPath, `Linux version 6.1.0-fake\nbanger: agent ready\n`);
  vmm.bootHung = world.has(spec.vmName, 'hang-in-boot');
  if (world.has(spec.vmName, 'die-after-start')) setImmediate(() => vmm.end({ cause: 'crash', detail: 'ended by SIGSEGV' }));
  return control(host, world, vmm);
}

function writeLog(host: Host, path: string, text: string): void {
  const log = host.openRotatingLog(path, 1024 ** 2);
  log.write(Buffer.from(text));
  log.close();
}

function control(host: Host, world: FakeWorld, vmm: FakeVmm): Machine {
  const channels = new FakeChannels(
    vmm.guest,
    vmm.exited,
    () => !vmm.paused && !vmm.bootHung && !vmm.isDiskFull && !vmm.hung && !world.has(vmm.spec.vmName, 'never-answer-agent'),
  );
  return {
    process: vmm.process,
    accelerator: 'tcg',
    channelCount: CHANNEL_COUNT,
    exited: vmm.exited,
    ...(vmm.bootHung && { hung: Promise.resolve('it did nothing for 8 seconds') }),
    openAgentChannel: (signal) => channels.open(signal),
    requestShutdown: () => {
      const obeys = !vmm.paused && !vmm.hung && !world.has(vmm.spec.vmName, 'ignore-shutdown');
      if (obeys) setImmediate(() => vmm.end({ cause: 'guest-poweroff', detail: 'the power button was pressed' }));
      return Promise.resolve();
    },
    terminate: async () => {
      vmm.end({ cause: 'host-request', detail: 'ended by the host' });
      await vmm.exited;
    },
    onFullDisk: (listener) => {
      vmm.fullDiskListener = listener;
      listener(vmm.isDiskFull);
    },
    createSnapshot: async (directory, signal) => {
      await writeKey(host, directory, await snapshotKey(host, vmm.spec, vmm.hasMemoryFile));
      if (vmm.exit !== undefined) throw new BangerError('VMM_FAILED', 'the fake VMM has ended', { logPath: vmm.spec.vmmLogPath });
      if (signal.aborted) throw new BangerError('CANCELLED', `the snapshot of ${vmm.spec.vmName} was cancelled`);
      vmm.paused = true;
      const memory = randomUUID();
      try {
        await host.writeFileAtomic(stateFile(directory), memory);
        if (signal.aborted) throw new BangerError('CANCELLED', `the snapshot of ${vmm.spec.vmName} was cancelled`);
      } catch (error) {
        vmm.paused = false;
        throw error;
      }
      world.memories.set(memory, copyGuest(vmm.guest, vmm.guest.onPoweroff));
    },
    fork: (spec, _directory, signal) => fork(host, world, vmm, spec, signal),
    pause: () => Promise.resolve(void (vmm.paused = true)),
    resume: () => {
      vmm.paused = false;
      vmm.resumeListener?.();
      return Promise.resolve();
    },
    onResume: (listener) => {
      vmm.resumeListener = listener;
    },
    detach: () => {
      vmm.fullDiskListener = undefined;
      vmm.resumeListener = undefined;
      channels.close();
    },
  };
}

/** Stands still while the other machine begins. */
async function fork(host: Host, world: FakeWorld, vmm: FakeVmm, spec: MachineSpec, signal: AbortSignal): Promise<Machine> {
  if (vmm.exit !== undefined) throw new BangerError('VMM_FAILED', 'the fake VMM has ended', { logPath: vmm.spec.vmmLogPath });
  const wasPaused = vmm.paused;
  vmm.paused = true;
  try {
    for (const [index, disk] of spec.disks.entries()) {
      const source = vmm.spec.disks[index]?.path;
      if (source !== undefined) await copyHead(host, source, disk.path);
    }
    return await start(host, world, spec, signal, vmm.guest);
  } finally {
    vmm.paused = wasPaused;
  }
}

/** Its guests write nothing; tests write to the beginning of disks. */
async function copyHead(host: Host, from: string, to: string): Promise<void> {
  const disk = await open(to, 'r+');
  await disk.write(await host.readHead(from, DISK_HEAD_BYTES), 0, undefined, 0);
  await disk.close();
}

const stateFile = (directory: string): string => join(directory, 'state');

/** The fake VMM is no program; the kernel stands for it. */
async function snapshotKey(host: Host, spec: MachineSpec, hasMemoryFile: boolean): Promise<SnapshotKey> {
  return { ...(await commonKey(host, spec, 'fake', spec.kernelPath)), ...(hasMemoryFile && { memory: 'file' }) };
}
