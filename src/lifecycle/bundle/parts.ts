import { basename, dirname } from 'node:path';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { Host } from '../../host/host.ts';
import { findBundle } from '../../images/bundle/find-bundle.ts';
import { keepLease } from '../../images/bundle/leases.ts';
import { BangerError } from '../../model/errors.ts';
import { type Bundle, filesOf, type Image } from '../../model/image.ts';
import type { Store } from '../../store/store.ts';
import type { Places } from './places.ts';
import { imageOfBundle, saveDefaultImage } from './default-image.ts';
import { resolveReference } from '../../model/reference.ts';

/** What depends on the bundle, which may appear, disappear and be rebuilt while the daemon runs. */
export type BundleParts = {
  /** Reads the bundle again. @throws BUNDLE_MISSING, BUNDLE_BROKEN */
  refresh(): Promise<unknown>;
  /** Returns the same list until the bundle changes; empty without a bundle. */
  networks(): readonly NetworkDriver[];
  /** SHA-256 of the guest agent of new images, hex. */
  agentSha256(): string | undefined;
  /** Why there is no bundle. */
  missing(): BangerError;
  resolveImage(reference: string | undefined): Promise<Image>;
};

/** The bundle as the daemon knows it. */
export type KnownBundle = { bundle: Bundle; networks: readonly NetworkDriver[] };

/**
 * @param known is updated, for drivers that use programs of the bundle
 * @returns the parts of the present bundle; without one they throw, and say how to get one
 */
export async function bundleParts(context: {
  host: Host;
  store: Store;
  stateDirectory: string;
  /** Name or id of the image of new VMs, if the user names none. */
  defaultImage: string;
  warn(message: string, facts: Record<string, unknown>): void;
  places: Places;
  known: { present: KnownBundle | undefined };
  makeNetworks: (bundle: Bundle) => readonly NetworkDriver[];
}): Promise<BundleParts> {
  const { host, store, stateDirectory, defaultImage, warn, places, known, makeNetworks } = context;
  let missing = new BangerError('BUNDLE_MISSING', 'there is no runtime bundle', { remedy: 'banger bundle build' });

  function take(bundle: Bundle): void {
    if (known.present !== undefined && isSame(known.present.bundle, bundle)) return;
    known.present = { bundle, networks: makeNetworks(bundle) };
    saveDefaultImage(store, imageOfBundle(bundle, 'default'));
  }

  /** @returns whether the lease changed; if it cannot be written, as on a full disk, the work here continues */
  async function lease(bundle: Bundle): Promise<boolean> {
    const files = neededFiles(bundle, store.images.list());
    return keepLease(bundle.directory, { stateDirectory, files }, host).catch((err: unknown) => {
      warn('the lease of the bundle could not be written for other daemons', { err, directory: bundle.directory });
      return false;
    });
  }

  async function refresh(): Promise<void> {
    for (let isNews = true; isNews;) {
      const bundle = await findBundle(places.bundle, host);
      take(bundle);
      // If another daemon removed files of it before the lease, it had made another bundle, which the next pass finds.
      isNews = await lease(bundle);
    }
  }

  try {
    await refresh();
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    warn(error.message, { code: error.code });
    missing = error;
  }
  return {
    refresh,
    networks: () => known.present?.networks ?? NO_NETWORKS,
    agentSha256: () => known.present?.bundle.manifest.files.agent.sha256,
    missing: () => missing,
    async resolveImage(reference: string | undefined): Promise<Image> {
      await refresh();
      return resolveReference('image', store.images, reference ?? defaultImage);
    },
  };
}

/** @returns names in the bundle's directory: those of the bundle, and those of former bundles that images still use */
function neededFiles({ directory, manifest }: Bundle, images: readonly Image[]): string[] {
  const names = Object.values(manifest.files).flatMap((file) => file?.path ?? []);
  const ofImages = images.flatMap(filesOf).filter((path) => dirname(path) === directory);
  return [...new Set([...names, ...ofImages.map((path) => basename(path))])];
}

const NO_NETWORKS: readonly NetworkDriver[] = [];

/** A part that was added later does not change the build's time. */
function isSame(one: Bundle, other: Bundle): boolean {
  return one.directory === other.directory && JSON.stringify(one.manifest) === JSON.stringify(other.manifest);
}
