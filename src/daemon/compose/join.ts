import { randomBytes, randomUUID } from 'node:crypto';
import { totalmem } from 'node:os';
import { humanId } from 'human-id';
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { createAgentClient } from '../../guest/agent-client.ts';
import { makeSshHostKey } from '../../guest/ssh-host-key.ts';
import type { Directories } from '../../lib/directories.ts';
import { createKeyedLock } from '../../lifecycle/locks.ts';
import { createMachines } from '../../lifecycle/machines.ts';
import { Operations } from '../../lifecycle/operations.ts';
import { recover } from '../../lifecycle/recover.ts';
import type { HostPort, LifecycleServices } from '../../lifecycle/services.ts';
import { handleExit } from '../../lifecycle/vm/exit-watch.ts';
import type { VmSpec } from '../../model/vm.ts';
import { vmPaths } from '../../model/paths.ts';
import type { Store } from '../../store/store.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { DaemonServices } from '../services.ts';
import type { BundleParts } from './bundle-parts.ts';
import { bundleWork, type Places } from './bundle-work.ts';
import { clientKey } from './client-key.ts';
import { type Choice, driversOf } from './drivers.ts';
import type { Names } from './names.ts';
import { keepVmEvent, logEnd } from './operation-log.ts';
import { statusWork } from './status.ts';

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
  hypervisor: Choice<Hypervisor>;
  storage: Choice<StorageDriver>;
  /** All that could have been chosen, for VMs that were made with another one. */
  hypervisors: readonly Hypervisor[];
  storages: readonly StorageDriver[];
  names: Names;
  places: Places;
  bundle: BundleParts;
};

/** The daemon's parts, joined. */
export type Daemon = { services: DaemonServices; recover(): Promise<void>; close(): Promise<void> };

/** How long an ending daemon waits for what it cancels. */
const ROLLBACK_TIMEOUT_MS = 5000;

/** Joins parts into a daemon; which ones they are is the caller's choice. */
export function joinDaemon(options: ComposeOptions, parts: DaemonParts): Daemon {
  const { log } = options;
  const { store, names, places, bundle } = parts;
  const key = clientKey(options.directories.stateDirectory);
  const lifecycle: LifecycleServices = {
    ...store,
    ...impulses,
    ...settingsOf(options),
    operations: operationsOf(options, store),
    locks: createKeyedLock(),
    machines: createMachines((vmId, machine, exit) => void handleExit(lifecycle, vmId, machine, exit)),
    drivers: driversOf(parts),
    names,
    host: parts.host,
    resolveImage: (reference) => bundle.resolveImage(reference),
    connectAgent: (machine) => createAgentClient((signal) => machine.openAgentChannel(signal)),
    clientPublicKey: () => key.publicKey(),
  };
  return {
    services: {
      ...lifecycle,
      defaultImageName: options.config.defaults.image,
      clientPrivateKeyPath: () => key.path(),
      requestShutdown: () => options.requestShutdown(),
      ...bundleWork({ places, operations: lifecycle.operations, onBuilt: () => bundle.refresh(), images: () => store.images.list() }),
      ...statusWork({ ...parts, options, network: () => bundle.network() }),
    },
    async recover() {
      await names.start();
      // What this host can do takes seconds to find out after its boot; better now than in the first create.
      void parts.hypervisor.driver.checks().catch(() => undefined);
      log.info(await recover(lifecycle, store.operations), 'recovered');
    },
    async close() {
      await lifecycle.operations.cancelAll(ROLLBACK_TIMEOUT_MS);
      lifecycle.machines.detachAll();
      await names.stop();
      await sweepUnlessUsed(lifecycle);
      store.close();
    },
  };
}

/** The private network is for VMs: when none runs, nothing of it outlives the daemon. */
async function sweepUnlessUsed(services: LifecycleServices): Promise<void> {
  if (services.vms.list().some((vm) => vm.state !== 'stopped')) return;
  try {
    for (const network of services.drivers.networks()) await network.sweep([]);
  } catch (error) {
    services.warn('the network could not be taken down', { reason: error instanceof Error ? error.message : String(error) });
  }
}

/** Clock, chance and names. */
const impulses = {
  makeSshHostKey,
  randomBase64: (bytes: number) => randomBytes(bytes).toString('base64'),
  now: () => new Date(),
  newId: () => randomUUID().replaceAll('-', ''),
  newName: () => humanId({ separator: '-', capitalize: false }),
};

function operationsOf({ directories, log }: ComposeOptions, store: Store): Operations {
  return new Operations({
    store: store.operations,
    newId: () => randomBytes(6).toString('hex'),
    now: () => new Date(),
    onEvent: (operation, event) => keepVmEvent((vm) => vmPaths(directories, vm), operation, event),
    onEnd: (operation) => logEnd(log, operation),
    onUnwritten: ({ id, verb }, err) => log.error({ operation: id, verb, err }, 'an operation could not be written down'),
  });
}

function settingsOf({ directories, config, log }: ComposeOptions): Pick<LifecycleServices, 'pathsOf' | 'settings' | 'warn'> {
  return {
    pathsOf: (vm) => vmPaths(directories, vm),
    settings: {
      defaultSpec: defaultSpecOf(config),
      hostMemoryMib: Math.floor(totalmem() / 1024 ** 2),
      stopGraceMs: config.stop_grace_seconds * 1000,
      bootTimeoutMs: config.boot_timeout_seconds * 1000,
      reservedBytes: config.reserved_space,
    },
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
  };
}
