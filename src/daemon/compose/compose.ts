// Chooses the drivers. Only this folder names concrete drivers.
import { join } from 'node:path';
import { watchClockJumps } from '../../host/clock-jumps.ts';
import { realHost } from '../../host/host.ts';
import { createProvisionSources } from '../../images/provision/sources.ts';
import type { Distribution } from '../../images/distribution.ts';
import { voidLinux } from '../../images/void/void.ts';
import { BangerError } from '../../model/errors.ts';
import { bundlePath } from '../../model/image.ts';
import { openStore } from '../../store/store.ts';
import { bundleParts, type KnownBundle } from '../../lifecycle/bundle/parts.ts';
import { manifestPlaces } from '../manifest-places.ts';
import { placesOf } from '../places.ts';
import type { Places } from '../../lifecycle/bundle/places.ts';
import { httpFrontOf } from './http-front.ts';
import { type Daemon, joinDaemon } from './join.ts';
import type { ComposeOptions } from './options.ts';
import { createNames } from '../../names/names.ts';
import { DRIVERS, type DriverContext, type Registry } from './registry.ts';

/**
 * @param drivers the list to choose from
 * @throws what openStore throws
 */
export async function compose(options: ComposeOptions, drivers: Registry = DRIVERS): Promise<Daemon> {
  const { directories, config, log } = options;
  const store = openStore(join(directories.stateDirectory, 'banger.db'), manifestPlaces(directories, log));
  const places = placesOf(directories, config, process.argv[1] ?? '/');
  const known: { present: KnownBundle | undefined } = { present: undefined };
  const context: DriverContext = { host: realHost, config, directories, bundle: () => known.present?.bundle };
  return joinDaemon(options, {
    store,
    host: realHost,
    places,
    hypervisors: Object.values(drivers.hypervisors).map((make) => make(context)),
    storages: Object.values(drivers.storages).map((make) => make(context)),
    standingNetworks: Object.values(drivers.standingNetworks).map((make) => make(context)),
    names: createNames(config.dns, httpFrontOf(options), log),
    clockJumps: watchClockJumps(() => known.present && bundlePath(known.present.bundle, 'forwarder')),
    provisionSources: createProvisionSources({
      sourceRoot: places.sourceRoot,
      cacheDirectory: join(directories.cacheDirectory, 'provision'),
      host: realHost,
      settings: { npmRegistry: config.provision.npm_registry, gitMirror: config.provision.git_mirror },
    }),
    distributions: new Map([['void', voidOf(options, places, known)]]),
    bundle: await bundleParts({
      host: realHost,
      stateDirectory: directories.stateDirectory,
      defaultImage: config.defaults.image,
      warn: (message, facts) => log.warn(facts, message),
      store,
      places,
      known,
      makeNetworks: (bundle) => Object.values(drivers.networks).map((make) => make({ ...context, bundle })),
    }),
  });
}

function voidOf(
  { directories, config }: ComposeOptions,
  { sourceRoot }: Places,
  known: { present: KnownBundle | undefined },
): Distribution {
  return voidLinux({
    sourceRoot,
    cacheDirectory: join(directories.cacheDirectory, 'void'),
    host: realHost,
    settings: config.void,
    agentPath() {
      if (known.present !== undefined) return bundlePath(known.present.bundle, 'agent');
      throw new BangerError('BUNDLE_MISSING', 'there is no runtime bundle', { remedy: 'banger bundle build' });
    },
  });
}
