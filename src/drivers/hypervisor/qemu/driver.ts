import { availableParallelism } from 'node:os';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { Hypervisor, Machine, MachineSpec } from '../contract.ts';
import { waitForVmmExit } from '../process-end.ts';
import { assertSameKey, memoryFile } from '../snapshot-key.ts';
import { type BootQueue, createBootQueue } from './boot-queue.ts';
import { type BootExperience, noExperience } from './boot-watch.ts';
import { type QemuSettings, type QemuInstallation, checkQemu, locateQemu } from './checks.ts';
import { controlArgument, machineArguments, socketPaths } from './machine-config.ts';
import { QemuMachineControl } from './machine.ts';
import { type QmpClient, connectQmp } from './qmp-client.ts';
import { followSerialLine } from './serial-line.ts';
import { INCOMING_ARGUMENTS, migrationSocket, snapshotKey, stateFile } from './snapshot.ts';
import { killProcess } from './vmm-process.ts';
import { given } from '../../../lib/given.ts';
import { messageOf } from '../../../lib/message-of.ts';

/** QEMU opens its control socket within 50 ms; a busy host takes longer. */
const CONTROL_TIMEOUT_MS = 30_000;
const ADOPT_TIMEOUT_MS = 5000;
const MIB = 1024 ** 2;

/** The driver for QEMU's microvm machine. */
export function createQemuHypervisor({ host, settings }: { host: Host; settings: QemuSettings }): Hypervisor {
  const boots: Boots = { queue: createBootQueue(availableParallelism()), experience: noExperience() };
  return {
    name: 'qemu',
    takes: { diskFormats: ['raw', 'device', 'qcow2'], networks: ['tap', 'user', 'none'] },
    checks: (signal) => checkQemu(host, settings, signal),
    start: (spec, signal, tell) => startMachine({ host, settings, boots }, spec, signal, tell),
    restore: (spec, directory, signal) => restoreMachine({ host, settings, boots }, spec, directory, signal),
    adopt: (spec, process) => adoptMachine({ host, settings, boots }, spec, process),
    find: async (spec) => host.processesWithArgument(controlArgument(spec))[0],
    cleanUp: async (spec) => {
      const paths = socketPaths(spec);
      await Promise.all([paths.qmp, paths.serial, ...paths.agents, migrationSocket(spec)].map((path) => host.removeTree(path)));
    },
  };
}

/** What the boots of one daemon share. */
type Boots = { queue: BootQueue; experience: BootExperience };
type Driver = { host: Host; settings: QemuSettings; boots: Boots };

async function startMachine(driver: Driver, spec: MachineSpec, signal: AbortSignal, tell?: (what: string) => void): Promise<Machine> {
  throwIfCancelled(spec, signal);
  const installation = await locateQemu(driver.host, driver.settings);
  const powerOn = (boot?: Boot): Promise<Machine> =>
    bringUp(driver, installation, spec, signal, { ...given({ boot }), begin: (control) => control.powerOn() });
  if (installation.accelerator === 'kvm') return powerOn();
  const { queue, experience } = driver.boots;
  const release = await queue
    .take(signal, () => tell?.('waiting for other machines to boot'))
    .catch(() => {
      throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`, { cause: signal.reason });
    });
  try {
    return await powerOn({ experience, onOver: release });
  } catch (error) {
    release();
    throw error;
  }
}

type Boot = { experience: BootExperience; onOver: () => void };

/** What a QEMU begins with: a boot, or a state that comes in, perhaps from a file, and perhaps memory in another. */
type Beginning = {
  boot?: Boot;
  isIncoming?: true;
  inputPath?: string;
  mappedPath?: string;
  begin(control: QemuMachineControl): Promise<void>;
};

/** @returns the QEMU that starts this machine now, and what a snapshot of the machine would depend on */
async function presentKey({ host, settings }: Driver, spec: MachineSpec, hasMemoryFile: boolean) {
  const installation = await locateQemu(host, settings);
  const { accelerator, qemuPath: program, acceleration } = installation;
  const argv = machineArguments({ spec, qemuPath: program, accelerator });
  const { tscKhz } = acceleration;
  return { installation, key: await snapshotKey(host, { spec, program, argv, hasMemoryFile, accelerator, tscKhz }) };
}

/** The guest's code is translated anew, but it does not boot: it neither queues for a processor nor can it hang as a boot can. */
async function restoreMachine(driver: Driver, spec: MachineSpec, directory: string, signal: AbortSignal): Promise<Machine> {
  throwIfCancelled(spec, signal);
  const hasMemoryFile = await driver.host.exists(memoryFile(directory));
  const { installation, key } = await presentKey(driver, spec, hasMemoryFile);
  await assertSameKey(driver.host, directory, spec, key);
  return bringUp(driver, installation, spec, signal, {
    isIncoming: true,
    inputPath: stateFile(directory),
    ...(hasMemoryFile && { mappedPath: memoryFile(directory) }),
    begin: (control) => control.load(hasMemoryFile),
  });
}

/** Like a restoration, but the state comes from a machine that goes on. */
async function forkMachine(driver: Driver, source: QemuMachineControl, spec: MachineSpec, signal: AbortSignal): Promise<Machine> {
  throwIfCancelled(spec, signal);
  const { installation, key } = await presentKey(driver, spec, false);
  await source.assertForkable(key);
  return bringUp(driver, installation, spec, signal, { isIncoming: true, begin: (control) => control.becomeLike(source, signal) });
}

async function bringUp(
  driver: Driver,
  { qemuPath, accelerator, acceleration }: QemuInstallation,
  spec: MachineSpec,
  signal: AbortSignal,
  { boot, isIncoming, inputPath, mappedPath, begin }: Beginning,
): Promise<Machine> {
  const { host, settings } = driver;
  const { tscKhz } = acceleration;
  const argv = machineArguments({ spec, qemuPath, accelerator, ...given({ tscKhz, mappedPath }) });
  throwIfCancelled(spec, signal);
  const child = await spawnQemu(host, spec, isIncoming ? [...argv, ...INCOMING_ARGUMENTS] : argv, inputPath !== undefined);
  let ended = false;
  void child.exited.then(() => (ended = true));
  const parts = { host, spec, process: child.identity, accelerator, tscKhz: tscOf(host, settings), ...given({ boot }) };
  const fork = forkOf(driver, () => control);
  const control: QemuMachineControl = new QemuMachineControl({ ...parts, fresh: isIncoming !== true, fork });
  const onAbort = (): void => void killProcess(host, child.identity);
  try {
    const qmp = await connectQmp(socketPaths(spec).qmp, {
      onEvent: (event) => control.onEvent(event),
      signal,
      timeoutMs: CONTROL_TIMEOUT_MS,
      retryWhile: () => !ended,
    });
    const serial = await followSerialLine(host, socketPaths(spec).serial, spec.serialLogPath, control.onOutput);
    control.attach(qmp, serial, waitForVmmExit(host, child.identity, qmp.closed, child.exited));
    throwIfCancelled(spec, signal);
    signal.addEventListener('abort', onAbort, { once: true });
    const { input } = child;
    const unreadable = input !== undefined && inputPath !== undefined ? [host.feedUnpacked(inputPath, input)] : [];
    await Promise.race([begin(control), ...unreadable]);
    throwIfCancelled(spec, signal);
    return control;
  } catch (error) {
    await abandon(host, spec, child.identity, control);
    throwIfCancelled(spec, signal);
    throw startFailure(spec, error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** QEMU would make one that others can read. A guest that is booted again begins with empty memory. */
async function makeMemoryFile(host: Host, { memoryPath, memoryMib }: MachineSpec): Promise<void> {
  if (memoryPath === undefined) return;
  await host.removeTree(memoryPath);
  await host.touch(memoryPath);
  await host.setLength(memoryPath, memoryMib * MIB);
}

/** @param source the machine that is going to have it */
function forkOf(driver: Driver, source: () => QemuMachineControl): NonNullable<Machine['fork']> {
  return (spec, _directory, signal) => forkMachine(driver, source(), spec, signal);
}

/** @returns looks it up when it is asked for: it has been measured by then */
function tscOf(host: Host, settings: QemuSettings): () => Promise<number | undefined> {
  return async () => (await locateQemu(host, settings)).acceleration.tscKhz;
}

async function spawnQemu(host: Host, spec: MachineSpec, argv: string[], hasInput: boolean): ReturnType<Host['spawnDetached']> {
  try {
    if (!hasInput) await makeMemoryFile(host, spec);
    return await host.spawnDetached([...spec.commandPrefix, ...argv], { outputPath: spec.vmmLogPath, hasInput });
  } catch (error) {
    throw startFailure(spec, error);
  }
}

/** Keeps the contract's promise after a failed start: no process, no sockets. */
async function abandon(host: Host, spec: MachineSpec, process: ProcessIdentity, control: QemuMachineControl): Promise<void> {
  await killProcess(host, process);
  control.detach();
  const paths = socketPaths(spec);
  for (const path of [paths.qmp, paths.serial, ...paths.agents]) await host.removeTree(path);
}

function throwIfCancelled(spec: MachineSpec, signal: AbortSignal): void {
  if (signal.aborted) throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`, { cause: signal.reason });
}

function startFailure(spec: MachineSpec, cause: unknown): BangerError {
  const reason = messageOf(cause);
  return new BangerError('VMM_FAILED', `QEMU did not start for ${spec.vmName}: ${reason}`, {
    remedy: `cat ${spec.vmmLogPath}`,
    logPath: spec.vmmLogPath,
    details: { vm: spec.vmName },
    cause,
  });
}

async function adoptMachine(driver: Driver, spec: MachineSpec, process: ProcessIdentity): Promise<Machine | undefined> {
  const { host, settings } = driver;
  if (!host.isAlive(process)) return undefined;
  const ours = host.processesWithArgument(controlArgument(spec));
  if (!ours.some(({ pid, startTicks }) => pid === process.pid && startTicks === process.startTicks)) return undefined;
  let control: QemuMachineControl | undefined;
  let qmp: QmpClient | undefined;
  try {
    qmp = await connectQmp(socketPaths(spec).qmp, { onEvent: (event) => control?.onEvent(event), timeoutMs: ADOPT_TIMEOUT_MS });
    const { enabled } = (await qmp.command('query-kvm')) as { enabled?: boolean };
    const accelerator = enabled === true ? 'kvm' : 'tcg';
    const fork = forkOf(driver, () => adopted);
    const adopted = new QemuMachineControl({ host, spec, process, accelerator, fresh: false, tscKhz: tscOf(host, settings), fork });
    control = adopted;
    const serial = await followSerialLine(host, socketPaths(spec).serial, spec.serialLogPath);
    control.attach(qmp, serial, waitForVmmExit(host, process, qmp.closed));
    await control.continueAfterRestart();
    return control;
  } catch (error) {
    // The caller decides whether to end a VMM that does not answer.
    control?.detach();
    qmp?.close();
    if (!host.isAlive(process)) return undefined;
    throw error;
  }
}
