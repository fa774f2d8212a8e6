import type { NetworkDriver } from '../../drivers/network/contract.ts';
import { createPrivateNetwork } from '../../drivers/network/private/driver.ts';
import { createUserNetwork } from '../../drivers/network/user/driver.ts';
import { realHost } from '../../host/host.ts';
import { findBundle } from '../../images/bundle/find-bundle.ts';
import { BangerError } from '../../model/errors.ts';
import { type Bundle, bundlePath, type Image } from '../../model/image.ts';
import type { Store } from '../../store/store.ts';
import type { Places } from './bundle-work.ts';
import type { ComposeOptions } from './join.ts';
import { imageOfBundle } from './default-image.ts';
import { type Choice, chooseNetwork, standInNetwork } from './drivers.ts';

/** What depends on the bundle, which may come, go and be rebuilt while the daemon runs. */
export type BundleParts = {
  /** Looks at the bundle anew. @throws BUNDLE_MISSING, BUNDLE_BROKEN */
  refresh(): Promise<unknown>;
  network(): Choice<NetworkDriver>;
  /** All that could have been chosen, for VMs that another one joined. */
  networks(): readonly NetworkDriver[];
  resolveImage(reference: string | undefined): Promise<Image>;
};

/** @returns the parts of the bundle that there is; without one they refuse, and say how to get one */
export async function bundleParts(context: { options: ComposeOptions; store: Store; places: Places }): Promise<BundleParts> {
  const { options, store, places } = context;
  const { directories, config } = options;
  let known: { bundle: Bundle; network: Choice<NetworkDriver>; networks: readonly NetworkDriver[] } | undefined;
  let missing = standInFor(new BangerError('BUNDLE_MISSING', 'there is no runtime bundle', { remedy: 'banger bundle build' }));

  async function refresh(): Promise<Bundle> {
    const bundle = await findBundle(places.bundle, realHost);
    if (known !== undefined && known.bundle.directory === bundle.directory && known.bundle.manifest.builtAt === bundle.manifest.builtAt)
      return known.bundle;
    const candidates = {
      private: createPrivateNetwork({
        host: realHost,
        forwarderPath: bundlePath(bundle, 'forwarder'),
        runtimeDirectory: directories.runtimeDirectory,
      }),
      user: createUserNetwork(),
    };
    const network = await chooseNetwork(config.network.mode, candidates);
    known = { bundle, network, networks: Object.values(candidates) };
    saveDefaultImage(store, imageOfBundle(bundle, 'default'));
    return bundle;
  }

  try {
    await refresh();
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    options.log.warn({ code: error.code }, error.message);
    missing = standInFor(error);
  }
  return {
    refresh,
    network: () => known?.network ?? missing,
    networks: () => known?.networks ?? [],
    async resolveImage(reference: string | undefined): Promise<Image> {
      await refresh();
      const name = reference ?? config.defaults.image;
      const image = store.images.find(name);
      if (image !== undefined) return image;
      throw new BangerError('NOT_FOUND', `there is no image ${JSON.stringify(name.slice(0, 80))}`, { remedy: 'banger image list' });
    },
  };
}

function standInFor(reason: BangerError): Choice<NetworkDriver> {
  return { driver: standInNetwork(reason), reason: `not chosen: ${reason.message}` };
}

/** The name `default` goes to the newest bundle; an older image keeps its record under another name while VMs need it. */
function saveDefaultImage(store: Store, image: Image): void {
  const previous = store.images.find(image.name);
  if (previous !== undefined && previous.id !== image.id) {
    const isUsed = store.vms.list().some((vm) => vm.imageId === previous.id);
    if (isUsed) store.images.save({ ...previous, name: `${previous.name}-${previous.id.slice(0, 8)}` });
    else store.images.remove(previous.id);
  }
  store.images.save(image);
}
