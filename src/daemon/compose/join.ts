import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { availableParallelism, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { humanId } from 'human-id';
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { createAgentClient } from '../../guest/agent-client.ts';
import { makeSshHostKey } from '../../guest/ssh-host-key.ts';
import { realHost } from '../../host/host.ts';
import { importImage, type ImportRequest } from '../../images/import/import-image.ts';
import { createSchemeProbe } from '../../http/probe.ts';
import type { ProvisionSources } from '../../images/provision/sources.ts';
import type { Directories } from '../../lib/directories.ts';
import { createAutoStop } from '../../lifecycle/auto-stop.ts';
import { createKeyedLock } from '../../lifecycle/locks.ts';
import { createMachines } from '../../lifecycle/machines.ts';
import { Operations } from '../../lifecycle/operations.ts';
import { recover } from '../../lifecycle/recover.ts';
import { createReboots } from '../../lifecycle/reboots.ts';
import { createRetries } from '../../lifecycle/retries.ts';
import type { Drivers, HostPort, LifecycleServices } from '../../lifecycle/services.ts';
import { forgetReboots, handleExit } from '../../lifecycle/vm/exit-watch.ts';
import { unknownVmms } from '../../lifecycle/sweep.ts';
import type { Timer } from '../../lifecycle/timer.ts';
import { stopUnused } from '../../lifecycle/vm/verbs.ts';
import { BangerError } from '../../model/errors.ts';
import { placeOfInstallation } from '../../model/network.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { VmSpec } from '../../model/vm.ts';
import { imagePaths, vmPaths } from '../../model/paths.ts';
import type { Store } from '../../store/store.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createOpenSessions } from '../open-sessions.ts';
import type { DaemonServices } from '../services.ts';
import { createStats } from '../stats.ts';
import type { BundleParts } from '../../lifecycle/bundle/parts.ts';
import { bundleWork, type Places } from '../../lifecycle/bundle/work.ts';
import { imageWork } from '../../lifecycle/image/freshness.ts';
import { clientKey } from '../../lifecycle/client-key.ts';
import { createHostTrust } from '../host-trust.ts';
import { Chooser } from '../../lifecycle/drivers/chooser.ts';
import type { Names } from '../../names/names.ts';
import { lookOf } from './http-front.ts';
import { keepVmEvent, logEnd, logPathOf, logStage } from '../operation-log.ts';
import { doctorWork } from '../../lifecycle/health/doctor.ts';
import { statusWork } from '../status.ts';

export type ComposeOptions = {
  directories: Directories;
  config: Config;
  log: Log;
  build: { id: string; version: string };
  requestShutdown: () => void;
};

/** What touches the machine or is chosen for it; tests hand in fakes. */
export type DaemonParts = {
  store: Store;
  host: HostPort;
  /** All that can be chosen, best first. */
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  /** Those of the networks that are there without a bundle. */
  standingNetworks: readonly NetworkDriver[];
  names: Names;
  places: Places;
  bundle: BundleParts;
  provisionSources: ProvisionSources;
  distributions: LifecycleServices['distributions'];
  /** Default: the real one. */
  timer?: Timer;
  /** For looks at the clocks of guests; default: the real one. */
  clockTimer?: Timer;
  clockJumps?: LifecycleServices['clockJumps'];
};

/** The daemon's parts, joined. */
export type Daemon = { services: DaemonServices; recover(): Promise<void>; close(): Promise<void> };

/** A guest that writes 128 MiB in less than this runs into the end of its overlay; copying each chunk first, few can. */
const SPACE_CHECK_MS = 500;
/** Under emulation what systemd has started may need a minute until it listens. */
const DEGRADED_WAIT_MS = 60_000;
/** How long an ending daemon waits for what it cancels. */
const ROLLBACK_TIMEOUT_MS = 5000;

/** How long it waits for checks of this host that are under way. */
const CHECKS_TIMEOUT_MS = 5000;

/** Joins parts into a daemon; which ones they are is the caller's choice. */
export function joinDaemon(options: ComposeOptions, parts: DaemonParts): Daemon {
  const { log, config } = options;
  const { store, names, bundle, timer = startTimer } = parts;
  const chooser = chooserOf(options, parts);
  const key = clientKey(options.directories.stateDirectory);
  const lifecycle: LifecycleServices = {
    ...store,
    ...impulsesOf(parts),
    ...settingsOf(options),
    operations: operationsOf(options, store, (operation) => {
      metrics.count(operation);
      autoStop.arm();
    }),
    locks: createKeyedLock(),
    imageNames: new Set(),
    ...laterWork(timer),
    clockTimer: parts.clockTimer ?? startTimer,
    machines: createMachines((vmId, machine, exit) => void handleExit(lifecycle, vmId, machine, exit)),
    drivers: driversOf(chooser, parts),
    names,
    host: parts.host,
    resolveImage: (reference) => bundle.resolveImage(reference),
    ...imageSources(parts),
    connectAgent: (machine) => createAgentClient((signal) => machine.openAgentChannel(signal)),
    clientPublicKey: () => key.publicKey(),
  };
  const stats = createStats(lifecycle, { stateDirectory: options.directories.stateDirectory, cpuCount: availableParallelism() });
  const metrics = createMetrics({ version: options.build.version, build: options.build.id }, stats);
  const autoStop = createAutoStop({
    services: lifecycle,
    staleAfterMs: options.config.auto_stop_stale_after,
    timer,
    stop: (vm, reason) => lifecycle.operations.settled(stopUnused(lifecycle, vm, reason).id),
    log: (message, facts) => log.info(facts, message),
  });
  const ending = new AbortController();
  let healing: Promise<void> | undefined;
  return {
    services: {
      ...lifecycle,
      ...imageWorkOf(options, parts),
      ...reachWork(options, parts),
      clientPrivateKeyPath: () => key.path(),
      stats,
      metrics: () => metrics.read(),
      ...bundleWorkOf(options, parts, lifecycle.operations),
      ...statusWork({ ...parts, options, chooser }),
      ...doctorWork({ ...parts, ...imageWorkOf(options, parts), lifecycle, chooser }),
    },
    async recover() {
      await names.start(lookOf(lifecycle, config.http.wake));
      log.info(await recover(lifecycle, store.operations), 'recovered');
      const ids = store.vms.list().map(({ id }) => id);
      healing = store.manifests.heal(ids, (id) => store.vms.find(id), ending.signal);
      autoStop.arm();
      // What this host can do takes seconds to find out after its boot; better now than in the first create, but not
      // before the daemon answers.
      setImmediate(() => void chooser.look());
    },
    async close() {
      autoStop.end();
      forgetReboots(lifecycle);
      ending.abort();
      await healing;
      await endWork(lifecycle, names, chooser);
      store.close();
    },
  };
}

function imageSources({ provisionSources, distributions }: DaemonParts): Pick<LifecycleServices, 'provisionSources' | 'distributions'> {
  return { provisionSources, distributions };
}

function chooserOf({ config, directories }: ComposeOptions, { hypervisors, storages, standingNetworks, bundle }: DaemonParts): Chooser {
  return new Chooser({
    wishes: { hypervisor: config.hypervisor, storage: config.storage.driver, network: config.network.mode },
    hypervisors,
    storages,
    networks: () => bundle.networks(),
    standingNetworks,
    missing: () => bundle.missing(),
    directory: directories.stateDirectory,
  });
}

/** Lets go of everything; VMs go on. */
async function endWork(lifecycle: LifecycleServices, names: Names, chooser: Chooser): Promise<void> {
  lifecycle.retries.end();
  await lifecycle.operations.cancelAll(ROLLBACK_TIMEOUT_MS);
  lifecycle.machines.detachAll();
  await names.stop();
  await Promise.race([chooser.settled(), sleep(CHECKS_TIMEOUT_MS, undefined, { ref: false })]);
  await sweepUnlessUsed(lifecycle);
}

function bundleWorkOf(
  { directories }: ComposeOptions,
  { places, bundle, store }: DaemonParts,
  operations: Operations,
): ReturnType<typeof bundleWork> {
  const { stateDirectory } = directories;
  return bundleWork({ places, stateDirectory, operations, onBuilt: () => bundle.refresh(), images: () => store.images.list() });
}

function imageWorkOf({ config }: ComposeOptions, parts: DaemonParts): ReturnType<typeof imageWork> {
  const { places, bundle } = parts;
  return imageWork({ places, config, bundle, ...imageSources(parts) });
}

function driversOf(chooser: Chooser, { hypervisors, storages, bundle }: DaemonParts): Drivers {
  return {
    of: (runtime) => chooser.of(runtime),
    addressOnHost: (runtime, addresses) => chooser.addressOnHost(runtime, addresses),
    async choose(runtime) {
      // One that was away may be back.
      if (chooser.networks().length === 0) await bundle.refresh().catch(() => undefined);
      return chooser.choose(runtime);
    },
    async refreshNetworks(runtime) {
      const isThere = chooser.networks().some(({ name }) => name === runtime?.networkDriver);
      // Why it is not is told by whoever is asked for something then.
      if (!isThere) await bundle.refresh().catch(() => undefined);
    },
    hypervisors: () => hypervisors,
    storages: () => storages,
    networks: () => chooser.networks(),
  };
}

/** The private network is for VMs: when none runs, nothing of it outlives the daemon. */
async function sweepUnlessUsed(services: LifecycleServices): Promise<void> {
  if (services.vms.list().some((vm) => vm.state !== 'stopped')) return;
  const unknown = await unknownVmms(services).catch(() => undefined);
  if (unknown === undefined || unknown.length > 0) return;
  for (const network of services.drivers.networks()) {
    await network.sweep([]).catch((error: unknown) => {
      if (error instanceof BangerError && error.code === 'PREREQUISITE_MISSING') return;
      const reason = error instanceof Error ? error.message : String(error);
      services.warn('the network could not be taken down', { network: network.name, reason });
    });
  }
}

/** @returns them, with what tells of jumps of the clock, where anybody does */
function impulsesOf({
  clockJumps = { subscribe: () => () => undefined },
}: DaemonParts): typeof impulses & Pick<LifecycleServices, 'clockJumps'> {
  return { ...impulses, clockJumps };
}

/** Clock, chance and names, and work on the machine that no test stands in for. */
const impulses = {
  readForeignImage: (request: Omit<ImportRequest, 'host'>) => importImage({ ...request, host: realHost }),
  makeSshHostKey,
  randomBase64: (bytes: number) => randomBytes(bytes).toString('base64'),
  now: () => new Date(),
  newId: () => randomUUID().replaceAll('-', ''),
  newName: () => humanId({ separator: '-', capitalize: false }),
};

/** How the daemon and its VMs are reached, and by whom. */
function reachWork(
  { requestShutdown }: ComposeOptions,
  { names }: DaemonParts,
): Pick<DaemonServices, 'probeSchemes' | 'httpPortsOf' | 'openSessions' | 'requestShutdown'> {
  return {
    probeSchemes: createSchemeProbe(),
    httpPortsOf: (address) => names.httpPortsOf(address),
    openSessions: createOpenSessions(impulses.now),
    requestShutdown,
  };
}

function laterWork(timer: Timer): Pick<LifecycleServices, 'reboots' | 'retries'> {
  return { reboots: createReboots(() => performance.now(), timer), retries: createRetries(timer) };
}

/** A timer that does not keep the daemon from ending. */
function startTimer(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs).unref();
  return () => clearTimeout(timer);
}

function operationsOf({ directories, log }: ComposeOptions, store: Store, afterEach: (operation: OperationRecord) => void): Operations {
  return new Operations({
    store: store.operations,
    newId: () => randomBytes(6).toString('hex'),
    now: () => new Date(),
    onEvent(operation, event) {
      logStage(log, operation, event);
      keepVmEvent((vm) => vmPaths(directories, vm), operation, event);
    },
    logPathOf: (operation, state) => logPathOf(directories, operation, state),
    onEnd: (operation) => {
      logEnd(log, operation);
      afterEach(operation);
    },
    onUnwritten: ({ id, verb }, err) => log.error({ operation: id, verb, err }, 'an operation could not be written down'),
  });
}

function settingsOf({
  directories,
  config,
  log,
}: ComposeOptions): Pick<LifecycleServices, 'pathsOf' | 'imagePathsOf' | 'settings' | 'warn' | 'hostTrust'> {
  return {
    pathsOf: (vm) => vmPaths(directories, vm),
    imagePathsOf: (image) => imagePaths(directories, image),
    settings: {
      defaultSpec: defaultSpecOf(config),
      firstNetworkIndex: placeOfInstallation(createHash('sha256').update(directories.stateDirectory).digest().readUInt32BE()),
      hostMemoryMib: Math.floor(totalmem() / 1024 ** 2),
      stopGraceMs: config.stop_grace_seconds * 1000,
      bootTimeoutMs: config.boot_timeout_seconds * 1000,
      degradedWaitMs: DEGRADED_WAIT_MS,
      spaceCheckMs: SPACE_CHECK_MS,
      reservedBytes: config.reserved_space,
    },
    hostTrust: createHostTrust(config),
    warn: (message, facts) => log.warn(facts, message),
  };
}

function defaultSpecOf({ defaults }: Config): VmSpec {
  return {
    vcpuCount: defaults.vcpu,
    memoryMib: Math.floor(defaults.memory / 1024 ** 2),
    workDiskBytes: defaults.disk_size,
    rootOverlayBytes: defaults.system_overlay_size,
    nat: defaults.nat,
    ...(defaults.host_ca ? { hostCa: true } : {}),
    ...(defaults.host_proxy ? { hostProxy: true } : {}),
  };
}
