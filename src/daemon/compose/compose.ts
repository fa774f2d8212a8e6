// Chooses the drivers: with its siblings in this folder the one place that names concrete ones.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createQemuHypervisor } from '../../drivers/hypervisor/qemu/driver.ts';
import { createCopyStorage } from '../../drivers/storage/copy/driver.ts';
import { createQcow2Storage } from '../../drivers/storage/qcow2/driver.ts';
import { createReflinkStorage } from '../../drivers/storage/reflink/driver.ts';
import { realHost } from '../../host/host.ts';
import { openStore } from '../../store/store.ts';
import { bundleParts } from './bundle-parts.ts';
import type { Places } from './bundle-work.ts';
import { chooseStorage } from './drivers.ts';
import { type ComposeOptions, type Daemon, joinDaemon } from './join.ts';
import { createNames } from './names.ts';

/** @throws what openStore throws, and PREREQUISITE_MISSING when config insists on what does not work here */
export async function compose(options: ComposeOptions): Promise<Daemon> {
  const { directories, config, log } = options;
  const store = openStore(join(directories.stateDirectory, 'banger.db'));
  const places = placesOf(options);
  const storages = [createReflinkStorage, createQcow2Storage, createCopyStorage].map((create) => create({ host: realHost }));
  const qemu = createQemuHypervisor({
    host: realHost,
    settings: {
      program: 'qemu-system-x86_64',
      accelerator: config.accelerator,
      probeCachePath: join(directories.cacheDirectory, 'host-probe.json'),
    },
  });
  return joinDaemon(options, {
    store,
    host: realHost,
    places,
    storages,
    storage: await chooseStorage(config.storage.driver, storages, directories.stateDirectory),
    hypervisor: { driver: qemu, reason: 'runs with and without KVM' },
    hypervisors: [qemu],
    names: createNames(config.dns, log),
    bundle: await bundleParts({ options, store, places }),
  });
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
