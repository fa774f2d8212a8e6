import { join } from 'node:path';
import { DEBIAN_FOLDER, hashOf } from '../../images/bundle/build-inputs.ts';
import { readPackageList } from '../../images/bundle/root-packages.ts';
import type { Image } from '../../model/image.ts';
import type { Config } from '../config.ts';
import type { DaemonServices } from '../services.ts';
import type { Places } from './bundle-work.ts';

/** What the daemon knows of the sources that images are made from. */
export function imageWork(context: {
  places: Pick<Places, 'sourceRoot'>;
  config: Config;
}): Pick<DaemonServices, 'imageFreshness' | 'defaultImageName'> {
  const { places, config } = context;
  /** @returns the hash of the manifest as it is now; undefined when the image is of none that is here */
  async function presentHash(image: Image): Promise<string | undefined> {
    if (places.sourceRoot === null || image.origin !== 'bundle') return undefined;
    return hashOf(...(await readPackageList(join(places.sourceRoot, DEBIAN_FOLDER)).catch(() => [])));
  }
  return {
    defaultImageName: config.defaults.image,
    async imageFreshness(image) {
      const present = image.packagesHash === null ? undefined : await presentHash(image);
      const stale = present !== undefined && present !== image.packagesHash;
      return { stale, rebuildCommand: stale ? 'banger bundle build' : null };
    },
  };
}
