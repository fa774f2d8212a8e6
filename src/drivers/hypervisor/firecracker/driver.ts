import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { Hypervisor, Machine, MachineSpec } from '../contract.ts';
import type { ProcessStatus } from '../process-end.ts';
import { type ApiClient, connectApi } from './api-client.ts';
import { FirecrackerInstallation, type FirecrackerSettings } from './checks.ts';
import { type Launch, directLaunch } from './launch.ts';
import {
  DISK_BUSY_STATUS,
  KERNEL_HEAD_BYTES,
  TAKES,
  machineRequests,
  namedInState,
  refuseKernel,
  restoreRequests,
} from './machine-config.ts';
import { forkMark } from './fork.ts';
import { FirecrackerMachineControl } from './machine.ts';
import { assertSameKey } from '../snapshot-key.ts';
import { readNames, snapshotKey } from './snapshot.ts';
import { describeStatus } from './vmm-process.ts';
import { given } from '../../../lib/given.ts';
import { messageOf } from '../../../lib/message-of.ts';

/** Firecracker opens its API socket within 10 ms; a busy host takes longer, and the start may wait for a lock on a disk. */
const CONTROL_TIMEOUT_MS = 30_000;
const ADOPT_TIMEOUT_MS = 5000;

type Driver = { host: Host; installation: FirecrackerInstallation; launch: Launch };

/** The driver for Firecracker. @param parts.launch how to start the process; default: as the daemon's own user */
export function createFirecrackerHypervisor(parts: { host: Host; settings: FirecrackerSettings; launch?: Launch }): Hypervisor {
  const { host, settings, launch = directLaunch(host) } = parts;
  const driver = { host, installation: new FirecrackerInstallation(host, settings), launch };
  return {
    name: 'firecracker',
    takes: TAKES,
    checks: (signal) => driver.installation.check(signal),
    start: (spec, signal) => startMachine(driver, spec, signal),
    ...(launch.seesAllFiles && { restore: restoreWith(driver) }),
    adopt: (spec, process) => adoptMachine(driver, spec, process),
    find: (spec) => launch.find(spec),
    cleanUp: (spec) => cleanUp(driver, spec),
  };
}

const restoreWith =
  (driver: Driver): NonNullable<Hypervisor['restore']> =>
  (spec, directory, signal) =>
    startMachine(driver, spec, signal, directory);

async function cleanUp({ host, launch }: Driver, spec: MachineSpec): Promise<void> {
  await launch.cleanUp(spec);
  for (const path of [forkMark(spec), partsFile(spec)]) await host.removeTree(path);
}

/** What the next daemon does not know of a machine. */
type Parts = Pick<MachineSpec, 'disks' | 'network'>;

const partsFile = ({ runtimeDirectory }: MachineSpec): string => join(runtimeDirectory, 'parts.json');

async function keepParts(host: Host, spec: MachineSpec): Promise<void> {
  const { disks, network }: Parts = spec;
  await host.writeFileAtomic(partsFile(spec), JSON.stringify({ disks, network }));
}

/** @returns the spec that the machine was started with, as far as it is known: an earlier build kept nothing */
async function wholeSpec(host: Host, spec: MachineSpec): Promise<MachineSpec> {
  const parts = await host.readIfThere(partsFile(spec));
  return parts === undefined ? spec : { ...spec, ...(JSON.parse(parts) as Parts) };
}

/** @param snapshot directory of the snapshot to continue from; default: a boot */
async function startMachine(driver: Driver, spec: MachineSpec, signal: AbortSignal, snapshot?: string): Promise<Machine> {
  const { host, launch, installation } = driver;
  throwIfCancelled(spec, signal);
  const { program, version } = await installation.locate();
  if (snapshot !== undefined) await assertSameKey(host, snapshot, spec, await snapshotKey(host, spec, program));
  const paths = launch.paths(spec);
  const machine = { spec, version, paths, seen: (path: string) => launch.seen(spec, path) };
  const requests =
    snapshot === undefined
      ? machineRequests(machine)
      : restoreRequests(machine, snapshot, await readNames(host, snapshot, namedInState(machine)));
  const started: Started = {};
  try {
    refuseKernel(await host.readHead(spec.kernelPath, KERNEL_HEAD_BYTES), version, spec.kernelPath);
    await prepare(driver, spec);
    await keepParts(host, spec);
    throwIfCancelled(spec, signal);
    const child = await launch.start(spec, program);
    started.process = child.identity;
    if (child.exited !== undefined) started.exited = child.exited;
    const control = (started.control = new FirecrackerMachineControl(driver, spec, restoreWith(driver)));
    await control.listen();
    const retryWhile = (): boolean => host.isAlive(child.identity);
    const api = await connectApi(
      { path: paths.api, connect: (path) => launch.connect(spec, path) },
      { signal, timeoutMs: CONTROL_TIMEOUT_MS, retryWhile },
    );
    control.attach(child.identity, api, child.exited);
    for (const request of requests) {
      throwIfCancelled(spec, signal);
      await api.send(request);
    }
    throwIfCancelled(spec, signal);
    return control;
  } catch (error) {
    const isGone = started.process !== undefined && !host.isAlive(started.process);
    const status = isGone ? await (started.exited ?? launch.status(spec)) : undefined;
    await abandon(driver, spec, started);
    throwIfCancelled(spec, signal);
    throw startFailure(spec, error, status);
  }
}

/** How far a start has come. */
type Started = { control?: FirecrackerMachineControl; process?: ProcessIdentity; exited?: Promise<ProcessStatus> };

/** The VMM refuses a socket that exists, and flock would create a missing disk. */
async function prepare(driver: Driver, spec: MachineSpec): Promise<void> {
  await cleanUp(driver, spec);
  for (const { path } of spec.disks) {
    if (!(await driver.host.exists(path))) throw new BangerError('VMM_FAILED', `there is no disk ${path}`, { details: { path } });
  }
}

/** Keeps the contract's promise after a failed start: no process, no sockets. */
async function abandon(driver: Driver, spec: MachineSpec, { process, control }: Started): Promise<void> {
  if (process !== undefined) await driver.launch.end(spec, process);
  control?.detach();
  await cleanUp(driver, spec);
}

function throwIfCancelled(spec: MachineSpec, signal: AbortSignal): void {
  if (signal.aborted) throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`, { cause: signal.reason });
}

/** An error before the process exists keeps its own code and remedy. */
function startFailure(spec: MachineSpec, cause: unknown, status: ProcessStatus | undefined): BangerError {
  if (cause instanceof BangerError && cause.code === 'UNSUPPORTED') return cause;
  const facts = { logPath: spec.vmmLogPath, details: { vm: spec.vmName, ...given({ status }) }, cause };
  if (status?.exitCode === DISK_BUSY_STATUS) {
    const remedy = `see who has it: fuser -v ${spec.disks.map(({ path }) => path).join(' ')}`;
    return new BangerError('VMM_FAILED', `a disk of ${spec.vmName} is in use by another VMM`, { ...facts, remedy });
  }
  const reason = messageOf(cause);
  const end = status === undefined ? '' : `; it ${describeStatus(status)}`;
  return new BangerError('VMM_FAILED', `Firecracker did not start for ${spec.vmName}: ${reason}${end}`, {
    ...facts,
    remedy: `cat ${spec.vmmLogPath}`,
  });
}

async function adoptMachine(driver: Driver, spec: MachineSpec, process: ProcessIdentity): Promise<Machine | undefined> {
  const { host, launch } = driver;
  const ours = await launch.find(spec);
  if (!host.isAlive(process) || ours?.pid !== process.pid || ours.startTicks !== process.startTicks) return undefined;
  const control = new FirecrackerMachineControl(driver, await wholeSpec(host, spec), restoreWith(driver));
  let api: ApiClient | undefined;
  try {
    api = await connectApi(
      { path: launch.paths(spec).api, connect: (path) => launch.connect(spec, path) },
      { timeoutMs: ADOPT_TIMEOUT_MS },
    );
    const info = await api.describe(ADOPT_TIMEOUT_MS);
    // A process that was never started belongs to a start that its daemon did not finish.
    if (info.id !== launch.instanceId(spec) || info.state === 'Not started') {
      throw new BangerError('WRONG_STATE', `Firecracker ${info.id} is in the state "${info.state}"`);
    }
    await control.listen();
    control.attach(process, api);
    await control.goOnAfterFork();
    return control;
  } catch (error) {
    // The caller decides whether to end a VMM that does not answer.
    control.detach();
    api?.close();
    if (!host.isAlive(process)) return undefined;
    throw error;
  }
}
