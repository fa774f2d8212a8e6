import { randomBytes, randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { humanId } from 'human-id';
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { createAgentClient } from '../../guest/agent-client.ts';
import { makeSshHostKey } from '../../guest/ssh-host-key.ts';
import { realHost } from '../../host/host.ts';
import { importImage } from '../../images/import/import-image.ts';
import { createSchemeProbe } from '../../http/probe.ts';
import type { ProvisionSources } from '../../images/provision/sources.ts';
import { Pool } from '../../lifecycle/pool/pool.ts';
import { createBackground } from '../../context/background.ts';
import type { Tier } from '../../lifecycle/idle/tiers.ts';
import { createIdleWatch } from '../../lifecycle/idle/watch.ts';
import { createKeyedLock } from '../../context/locks.ts';
import { createMachines } from '../../context/machines.ts';
import { Operations } from '../../context/operations.ts';
import { recover } from '../../lifecycle/recover.ts';
import { createReboots } from '../../context/reboots.ts';
import { createRetries } from '../../context/retries.ts';
import { createStandIns } from '../../context/stand-ins.ts';
import type { ImageServices, LifecycleServices, World } from '../../context/services.ts';
import type { HostPort } from '../../context/host-port.ts';
import { forgetReboots, handleExit } from '../../lifecycle/vm/exit-watch.ts';
import { sweepUnlessUsed } from '../../lifecycle/sweep.ts';
import type { Timer } from '../../context/timer.ts';
import { pauseUnused } from '../../lifecycle/vm/pause.ts';
import { suspendUnused } from '../../lifecycle/vm/suspend.ts';
import { resumeVm, stopUnused } from '../../lifecycle/vm/verbs.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { imagePaths, vmPaths } from '../../model/paths.ts';
import type { Store } from '../../store/store.ts';
import { createMetrics } from '../metrics.ts';
import { createOpenSessions } from '../open-sessions.ts';
import type { DaemonServices } from '../services.ts';
import { createStats } from '../stats.ts';
import type { BundleParts } from '../../lifecycle/bundle/parts.ts';
import type { Places } from '../../lifecycle/bundle/places.ts';
import { bundleWork } from '../../lifecycle/bundle/work.ts';
import { freshnessOf } from '../../lifecycle/image/freshness.ts';
import { clientKey } from '../../lifecycle/client-key.ts';
import { createHostTrust } from '../host-trust.ts';
import { Chooser } from '../../lifecycle/drivers/chooser.ts';
import { createDrivers } from '../../lifecycle/drivers/drivers.ts';
import type { Names } from '../../names/names.ts';
import { keepVmEvent, logEnd, logPathOf, logStage, openOperationLog } from '../operation-log.ts';
import { doctorWork } from '../../lifecycle/health/doctor.ts';
import { prepareShutdown, resumeAfterShutdown } from '../../lifecycle/host-shutdown.ts';
import { wakeByName, wakeForCall } from '../../lifecycle/vm/wake.ts';
import { settingsOf } from '../settings.ts';
import { statusWork } from '../status.ts';
import type { ComposeOptions } from './options.ts';

/** What touches the machine or is chosen for it; tests pass fakes. */
export type DaemonParts = {
  store: Store;
  host: HostPort;
  /** All available drivers, best first. */
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  /** The networks that need no bundle. */
  standingNetworks: readonly NetworkDriver[];
  names: Names;
  places: Places;
  bundle: BundleParts;
  provisionSources: ProvisionSources;
  distributions: ImageServices['distributions'];
  /** Default: the real one. */
  timer?: Timer;
  /** To compare with the clocks of guests; default: the real clock. */
  clockTimer?: Timer;
  clockJumps?: World['clock']['jumps'];
};

/** The parts of a daemon, joined. */
export type Daemon = { services: DaemonServices; recover(): Promise<void>; close(): Promise<void> };

const RESTS: Readonly<Record<Tier, typeof stopUnused>> = { pause: pauseUnused, suspend: suspendUnused, stop: stopUnused };

/** How long an ending daemon waits for the operations that it cancels. */
const ROLLBACK_TIMEOUT_MS = 5000;

/** How long it waits for running checks of this host. */
const CHECKS_TIMEOUT_MS = 5000;

/** Joins parts into a daemon. The caller chooses the parts. */
export function joinDaemon(options: ComposeOptions, parts: DaemonParts): Daemon {
  const { directories, log, config } = options;
  const { stateDirectory } = directories;
  const { store, names, bundle, places, hypervisors, storages, standingNetworks, timer = startTimer } = parts;
  const wishes = { hypervisor: config.hypervisor, storage: config.storage.driver, network: config.network.mode };
  const chooser = new Chooser({
    ...{ wishes, hypervisors, storages, standingNetworks },
    ...{ networks: () => bundle.networks(), missing: () => bundle.missing() },
  });
  const key = clientKey(stateDirectory, { host: realHost, makeKey: makeSshHostKey });
  const lifecycle = lifecycleOf(options, parts, {
    ...{ chooser, clientPublicKey: () => key.publicKey() },
    afterOperation(operation) {
      metrics.count(operation);
      idleWatch.arm();
      pool.look();
    },
  });
  const stats = createStats(lifecycle, { stateDirectory, cpuCount: availableParallelism() });
  const metrics = createMetrics({ version: options.build.version, build: options.build.id }, stats);
  const idleWatch = createIdleWatch({
    services: lifecycle,
    staleAfterMs: config.auto_stop_stale_after,
    timer,
    rest: (tier, vm, reason) => lifecycle.operations.settled(RESTS[tier](lifecycle, vm, reason).id),
    wake: (vm) => lifecycle.operations.settled(resumeVm(lifecycle, vm).id),
    log: (message, facts) => log.info(facts, message),
  });
  const pool = new Pool({ services: lifecycle, timer });
  const ofBundle = bundleWork({
    ...{ places, host: realHost, operations: lifecycle.operations, images: () => store.images.list() },
    onBuilt: () => bundle.refresh(),
    openOutputLog: (id) => openOperationLog(realHost, stateDirectory, id),
  });
  const ending = new AbortController();
  let healing: Promise<void> | undefined;
  return {
    services: {
      ...lifecycle,
      bundle: ofBundle,
      health: doctorWork({ lifecycle, chooser, names, bundle: ofBundle }),
      daemon: {
        status: statusWork({ ...options, vms: store.vms, pool, chooser, names, bundleDirectory: () => ofBundle.directory() }),
        stats,
        prepareShutdown: () => prepareShutdown(lifecycle, config.on_host_shutdown, config.host_shutdown_seconds * 1000),
        ...{ metrics: () => metrics.read(), requestShutdown: options.requestShutdown },
      },
      reach: reachOf(lifecycle, names, () => key.path()),
    },
    async recover() {
      await names.start(wakeByName(lifecycle, config.http.wake));
      log.info(await recover(lifecycle, store.operations), 'recovered');
      const ids = store.vms.listAll().map(({ id }) => id);
      healing = store.manifests.heal(ids, (id) => store.vms.find(id), ending.signal);
      idleWatch.arm();
      void resumeAfterShutdown(lifecycle, ending.signal);
      // After a boot of the host, its checks take seconds. Run them now rather than in the first create, but only once the daemon answers.
      setImmediate(() => void chooser.look());
      pool.look();
    },
    async close() {
      idleWatch.end();
      forgetReboots(lifecycle);
      ending.abort();
      await healing;
      await letGo(lifecycle, { names, chooser, pool });
      store.close();
    },
  };
}

function reachOf(lifecycle: LifecycleServices, names: Names, clientPrivateKeyPath: () => Promise<string>): DaemonServices['reach'] {
  return {
    clientPrivateKeyPath,
    probeSchemes: createSchemeProbe(),
    httpPortsOf: (address) => names.httpPortsOf(address),
    sessions: createOpenSessions(lifecycle.world.clock.now),
  };
}

/** Stops everything; VMs continue. */
async function letGo(
  lifecycle: LifecycleServices,
  { names, chooser, pool }: { names: Names; chooser: Chooser; pool: Pool },
): Promise<void> {
  lifecycle.vms.retries.end();
  await Promise.race([lifecycle.background.end(), sleep(ROLLBACK_TIMEOUT_MS, undefined, { ref: false })]);
  await lifecycle.operations.cancelAll(ROLLBACK_TIMEOUT_MS);
  await lifecycle.vms.standIns.endAll();
  await pool.end();
  lifecycle.vms.machines.detachAll();
  await names.stop();
  await Promise.race([chooser.settled(), sleep(CHECKS_TIMEOUT_MS, undefined, { ref: false })]);
  await sweepUnlessUsed(lifecycle);
}

type Joined = { chooser: Chooser; clientPublicKey: () => Promise<string>; afterOperation: (operation: OperationRecord) => void };

/** What verbs work with. */
function lifecycleOf(options: ComposeOptions, parts: DaemonParts, { chooser, clientPublicKey, afterOperation }: Joined): LifecycleServices {
  const { directories, config } = options;
  const { store, names, bundle, host, hypervisors, storages, timer = startTimer } = parts;
  const isForEveryone = config.network.share === 'everyone';
  const lifecycle: LifecycleServices = {
    vms: {
      ...{ records: store.vms, manifests: store.manifests, names, clientPublicKey },
      drivers: createDrivers({ chooser, hypervisors, storages, refreshBundle: () => bundle.refresh() }),
      machines: createMachines((vmId, machine, exit) => void handleExit(lifecycle, vmId, machine, exit)),
      locks: createKeyedLock(),
      reboots: createReboots(() => performance.now(), timer),
      retries: createRetries(timer),
      standIns: createStandIns(
        (places, onCall) => host.listenInStead(places, { isForEveryone, onCall }),
        (vmId) => wakeForCall(lifecycle, vmId),
      ),
      connectAgent: (machine) => createAgentClient((signal) => machine.openAgentChannel(signal)),
      pathsOf: (vm) => vmPaths(directories, vm),
    },
    images: {
      ...{ records: store.images, reserved: new Set(), sources: parts.provisionSources, distributions: parts.distributions },
      resolve: (reference) => bundle.resolveImage(reference),
      freshness: freshnessOf(parts),
      defaultName: config.defaults.image,
      readForeign: (request) => importImage({ ...request, host: realHost }),
      pathsOf: (image) => imagePaths(directories, image),
    },
    world: worldOf(options, parts),
    operations: operationsOf(options, store, afterOperation),
    background: createBackground((message, facts) => options.log.warn(facts, message)),
    settings: settingsOf(config, directories.stateDirectory),
  };
  return lifecycle;
}

function worldOf({ config, log }: ComposeOptions, { host, clockTimer = startTimer, clockJumps = NO_JUMPS }: DaemonParts): World {
  return {
    ...{ files: host, disks: host, processes: host },
    clock: { now: () => new Date(), guestTimer: clockTimer, jumps: clockJumps },
    ids: {
      newId: () => randomUUID().replaceAll('-', ''),
      newName: () => humanId({ separator: '-', capitalize: false }),
      randomBase64: (bytes) => randomBytes(bytes).toString('base64'),
      newSshHostKey: makeSshHostKey,
    },
    trust: createHostTrust(config, realHost),
    warn: (message, facts) => log.warn(facts, message),
  };
}

const NO_JUMPS: World['clock']['jumps'] = { subscribe: () => () => undefined };

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
    onUnwritten: ({ id, verb }, err) => log.error({ operation: id, verb, err }, 'an operation could not be recorded'),
  });
}
