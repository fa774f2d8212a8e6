import { join } from 'node:path';
import { DEBIAN_FOLDER, hashOf } from '../../images/bundle/build-inputs.ts';
import { readPackageList } from '../../images/bundle/root-packages.ts';

/** @returns the hash of the package list for a bundle of these sources */
export async function bundlePackagesHash(sourceRoot: string): Promise<string> {
  return hashOf(...(await readPackageList(join(sourceRoot, DEBIAN_FOLDER))));
}
