import { availableParallelism } from 'node:os';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { Hypervisor, Machine, MachineSpec } from '../contract.ts';
import { waitForVmmExit } from '../process-end.ts';
import { type BootQueue, createBootQueue } from './boot-queue.ts';
import { type BootExperience, noExperience } from './boot-watch.ts';
import { type QemuSettings, type QemuInstallation, checkQemu, locateQemu } from './checks.ts';
import { controlArgument, machineArguments, socketPaths } from './machine-config.ts';
import { QemuMachineControl } from './machine.ts';
import { type QmpClient, connectQmp } from './qmp-client.ts';
import { followSerialLine } from './serial-line.ts';
import { killProcess } from './vmm-process.ts';
import { given } from '../../../lib/given.ts';
import { messageOf } from '../../../lib/message-of.ts';

/** QEMU opens its control socket within 50 ms; a busy host takes longer. */
const CONTROL_TIMEOUT_MS = 30_000;
const ADOPT_TIMEOUT_MS = 5000;

/** The driver for QEMU's microvm machine. */
export function createQemuHypervisor({ host, settings }: { host: Host; settings: QemuSettings }): Hypervisor {
  const boots: Boots = { queue: createBootQueue(availableParallelism()), experience: noExperience() };
  return {
    name: 'qemu',
    takes: { diskFormats: ['raw', 'device', 'qcow2'], networks: ['tap', 'user', 'none'] },
    checks: (signal) => checkQemu(host, settings, signal),
    start: (spec, signal, tell) => startMachine({ host, settings, boots }, spec, signal, tell),
    adopt: (spec, process) => adoptMachine(host, spec, process),
    find: async (spec) => host.processesWithArgument(controlArgument(spec))[0],
    cleanUp: async (spec) => {
      const paths = socketPaths(spec);
      await Promise.all([paths.qmp, paths.serial, ...paths.agents].map((path) => host.removeTree(path)));
    },
  };
}

/** What the boots of one daemon share. */
type Boots = { queue: BootQueue; experience: BootExperience };
type Driver = { host: Host; settings: QemuSettings; boots: Boots };

async function startMachine(driver: Driver, spec: MachineSpec, signal: AbortSignal, tell?: (what: string) => void): Promise<Machine> {
  throwIfCancelled(spec, signal);
  const installation = await locateQemu(driver.host, driver.settings);
  if (installation.accelerator === 'kvm') return powerOn(driver.host, installation, spec, signal);
  const { queue, experience } = driver.boots;
  const release = await queue
    .take(signal, () => tell?.('waiting for other machines to boot'))
    .catch(() => {
      throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`, { cause: signal.reason });
    });
  try {
    return await powerOn(driver.host, installation, spec, signal, { experience, onOver: release });
  } catch (error) {
    release();
    throw error;
  }
}

async function powerOn(
  host: Host,
  { qemuPath, accelerator, acceleration }: QemuInstallation,
  spec: MachineSpec,
  signal: AbortSignal,
  boot?: { experience: BootExperience; onOver: () => void },
): Promise<Machine> {
  const { tscKhz } = acceleration;
  const argv = machineArguments({ spec, qemuPath, accelerator, ...given({ tscKhz }) });
  throwIfCancelled(spec, signal);
  const child = await spawnQemu(host, spec, argv);
  let ended = false;
  void child.exited.then(() => (ended = true));
  const control = new QemuMachineControl({ host, spec, process: child.identity, accelerator, fresh: true, ...(boot && { boot }) });
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
    await control.powerOn();
    throwIfCancelled(spec, signal);
    return control;
  } catch (error) {
    await abandon(host, spec, child.identity, control);
    throwIfCancelled(spec, signal);
    throw startFailure(spec, error);
  }
}

async function spawnQemu(host: Host, spec: MachineSpec, argv: string[]): ReturnType<Host['spawnDetached']> {
  try {
    return await host.spawnDetached([...spec.commandPrefix, ...argv], { outputPath: spec.vmmLogPath });
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

async function adoptMachine(host: Host, spec: MachineSpec, process: ProcessIdentity): Promise<Machine | undefined> {
  if (!host.isAlive(process)) return undefined;
  const ours = host.processesWithArgument(controlArgument(spec));
  if (!ours.some(({ pid, startTicks }) => pid === process.pid && startTicks === process.startTicks)) return undefined;
  let control: QemuMachineControl | undefined;
  let qmp: QmpClient | undefined;
  try {
    qmp = await connectQmp(socketPaths(spec).qmp, { onEvent: (event) => control?.onEvent(event), timeoutMs: ADOPT_TIMEOUT_MS });
    const { enabled } = (await qmp.command('query-kvm')) as { enabled?: boolean };
    control = new QemuMachineControl({ host, spec, process, accelerator: enabled === true ? 'kvm' : 'tcg', fresh: false });
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
