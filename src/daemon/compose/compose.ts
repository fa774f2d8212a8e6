// The one file that names concrete drivers.
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { humanId } from 'human-id';
import { createQemuHypervisor } from '../../drivers/hypervisor/qemu/driver.ts';
import { createCopyStorage } from '../../drivers/storage/copy/driver.ts';
import { createQcow2Storage } from '../../drivers/storage/qcow2/driver.ts';
import { createReflinkStorage } from '../../drivers/storage/reflink/driver.ts';
import { createAgentClient } from '../../guest/agent-client.ts';
import { makeSshHostKey } from '../../guest/ssh-host-key.ts';
import { realHost } from '../../host/host.ts';
import type { Directories } from '../../lib/directories.ts';
import { createKeyedLock } from '../../lifecycle/locks.ts';
import { createMachines } from '../../lifecycle/machines.ts';
import { Operations } from '../../lifecycle/operations.ts';
import { handleExit } from '../../lifecycle/vm/exit-watch.ts';
import { recover } from '../../lifecycle/recover.ts';
import type { LifecycleServices } from '../../lifecycle/services.ts';
import { bundlePath } from '../../model/image.ts';
import type { VmSpec } from '../../model/vm.ts';
import { vmPaths } from '../../model/paths.ts';
import { openStore, type Store } from '../../store/store.ts';
import type { Config } from '../config.ts';
import { bundleParts } from './bundle-parts.ts';
import { chooseStorage, laterNetwork } from './drivers.ts';
import { createNames } from './names.ts';
import { keepVmEvent, logEnd } from './operation-log.ts';
import type { Log } from '../log.ts';
import { bundleWork, type Places } from './bundle-work.ts';
import { statusWork } from './status.ts';
import type { DaemonServices } from '../services.ts';

export type ComposeOptions = {
  directories: Directories;
  config: Config;
  log: Log;
  build: { id: string; version: string };
  requestShutdown: () => void;
};

/** The daemon's parts, joined. */
export type Daemon = { services: DaemonServices; recover(): Promise<void>; close(): Promise<void> };

/** @throws what openStore throws, and PREREQUISITE_MISSING when config insists on what does not work here */
export async function compose(options: ComposeOptions): Promise<Daemon> {
  const { directories, config, log } = options;
  const store = openStore(join(directories.stateDirectory, 'banger.db'));
  const places = placesOf(options);
  const storages = [createReflinkStorage, createQcow2Storage, createCopyStorage].map((create) => create({ host: realHost }));
  const storage = await chooseStorage(config.storage.driver, storages, directories.stateDirectory);
  const hypervisor = createQemuHypervisor({
    host: realHost,
    settings: {
      program: 'qemu-system-x86_64',
      accelerator: config.accelerator,
      probeCachePath: join(directories.cacheDirectory, 'host-probe.json'),
    },
  });
  const names = createNames(config.dns, log);
  const parts = await bundleParts({ options, store, places });
  const lifecycle: LifecycleServices = {
    ...store,
    ...impulses,
    ...settingsOf(options),
    operations: operationsOf(options, store),
    locks: createKeyedLock(),
    machines: createMachines((vmId, machine, exit) => void handleExit(lifecycle, vmId, machine, exit)),
    hypervisor,
    storage: storage.driver,
    storageByName: (name) => storages.find((candidate) => candidate.name === name) ?? storage.driver,
    network: laterNetwork(() => parts.network().driver),
    names,
    host: realHost,
    resolveImage: (reference) => parts.resolveImage(reference),
    connectAgent: (machine) => createAgentClient((signal) => machine.openAgentChannel(signal)),
    clientPublicKey: async () => readFileSync(bundlePath(await parts.bundle(), 'sshPublicKey'), 'utf8').trim(),
  };
  return {
    services: {
      ...lifecycle,
      defaultImageName: config.defaults.image,
      clientPrivateKeyPath: async () => bundlePath(await parts.bundle(), 'sshPrivateKey'),
      requestShutdown: () => options.requestShutdown(),
      ...bundleWork({ places, operations: lifecycle.operations, onBuilt: () => parts.refresh(), images: () => store.images.list() }),
      ...statusWork({ options, store, hypervisor, storage, network: () => parts.network(), storages, names, places }),
    },
    async recover() {
      await names.start();
      log.info(await recover(lifecycle, store.operations), 'recovered');
    },
    async close() {
      lifecycle.machines.detachAll();
      await names.stop();
      store.close();
    },
  };
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

function placesOf({ directories, config }: ComposeOptions): Places {
  // dist/bangerd.cjs of a checkout or an installation.
  const root = dirname(dirname(process.argv[1] ?? '/'));
  const isCheckout = existsSync(join(root, '.git'));
  const named = process.env['BANGER_BUNDLE'] ?? config.bundle;
  const own = isCheckout ? join(root, 'runtime') : join(directories.stateDirectory, 'runtime');
  return {
    bundle: { ...(named === undefined ? {} : { env: named }), besideProgram: join(root, 'lib/banger'), checkout: own },
    buildDirectory: named ?? own,
    sourceRoot: existsSync(join(root, 'agent/Makefile')) ? root : null,
    cacheDirectory: join(directories.cacheDirectory, 'bundle'),
  };
}
