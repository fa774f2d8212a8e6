import { join } from 'node:path';
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { FirecrackerSettings } from '../../drivers/hypervisor/firecracker/checks.ts';
import { createFirecrackerHypervisor } from '../../drivers/hypervisor/firecracker/driver.ts';
import { createJailedFirecracker } from '../../drivers/hypervisor/firecracker/jailed-driver.ts';
import { createQemuHypervisor } from '../../drivers/hypervisor/qemu/driver.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import { bridgeForwarder, createBridgeNetwork } from '../../drivers/network/bridge/driver.ts';
import { createPrivateNetwork } from '../../drivers/network/private/driver.ts';
import { createUserNetwork } from '../../drivers/network/user/driver.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { createCopyStorage } from '../../drivers/storage/copy/driver.ts';
import { createDmSnapshotStorage } from '../../drivers/storage/dm-snapshot/driver.ts';
import { createQcow2Storage } from '../../drivers/storage/qcow2/driver.ts';
import { createReflinkStorage } from '../../drivers/storage/reflink/driver.ts';
import type { Host } from '../../host/host.ts';
import type { Directories } from '../../lib/directories.ts';
import { type Bundle, bundlePath, bundledProgram } from '../../model/image.ts';
import type { Config, DriverNames } from '../config.ts';
import { createHelperClient } from '../helper-client.ts';

/** What the factory of a driver gets. */
export type DriverContext = {
  host: Host;
  config: Config;
  directories: Directories;
  /** The present runtime bundle; it may appear, disappear and be rebuilt while the daemon runs. */
  bundle: () => Bundle | undefined;
};

type Makers<Driver, Context = DriverContext> = Readonly<Record<string, (context: Context) => Driver>>;

/**
 * Every driver by its name in config.toml, best first: `auto` takes the first combination that works. A driver behind one that always works
 * is only taken if config.toml names it.
 */
export type Registry = {
  hypervisors: Makers<Hypervisor>;
  storages: Makers<StorageDriver>;
  /** Replaced with every bundle. */
  networks: Makers<NetworkDriver, Omit<DriverContext, 'bundle'> & { bundle: Bundle }>;
  /** Networks that need no bundle, for VMs that have joined them. */
  standingNetworks: Makers<NetworkDriver>;
};

/** With and without a jail it is the same program, found in the same way. */
function firecrackerSettings({ config, directories, bundle }: DriverContext): FirecrackerSettings {
  return {
    get program() {
      return config.firecracker.path ?? bundledProgram(bundle(), 'firecracker') ?? 'firecracker';
    },
    accelerator: config.accelerator,
    probeCachePath: join(directories.cacheDirectory, 'firecracker-probe.json'),
  };
}

/** The one list of drivers: a new driver is a folder and a line here. */
export const DRIVERS: Registry = {
  hypervisors: {
    'firecracker-jailed': (context) =>
      createJailedFirecracker({
        host: context.host,
        settings: firecrackerSettings(context),
        helper: createHelperClient(context.config.helper.socket, 'VMM_FAILED'),
      }),
    firecracker: (context) => createFirecrackerHypervisor({ host: context.host, settings: firecrackerSettings(context) }),
    qemu: ({ host, config, directories }) =>
      createQemuHypervisor({
        host,
        settings: {
          program: 'qemu-system-x86_64',
          accelerator: config.accelerator,
          probeCachePath: join(directories.cacheDirectory, 'host-probe.json'),
        },
      }),
  },
  storages: {
    reflink: ({ host, directories: { stateDirectory } }) => createReflinkStorage({ host, directory: stateDirectory }),
    qcow2: createQcow2Storage,
    'dm-snapshot': ({ host, config }) =>
      createDmSnapshotStorage({ host, helper: createHelperClient(config.helper.socket, 'STORAGE_FAILED') }),
    copy: createCopyStorage,
  },
  standingNetworks: { user: createUserNetwork },
  networks: {
    private: ({ host, config, bundle, directories: { runtimeDirectory } }) =>
      createPrivateNetwork({ host, forwarderPath: bundlePath(bundle, 'forwarder'), runtimeDirectory, share: config.network.share }),
    user: createUserNetwork,
    bridge: ({ host, config, bundle, directories: { runtimeDirectory } }) =>
      createBridgeNetwork({
        host,
        helper: createHelperClient(config.helper.socket, 'NETWORK_FAILED'),
        share: config.network.share,
        forwarder: bridgeForwarder({
          ...{ host, runtimeDirectory, share: config.network.share },
          forwarderPath: bundlePath(bundle, 'forwarder'),
        }),
      }),
  },
};

/** @returns the names that config.toml may use */
export function namesOf(registry: Registry): DriverNames {
  return {
    hypervisors: Object.keys(registry.hypervisors),
    networks: Object.keys(registry.networks),
    storages: Object.keys(registry.storages),
  };
}
