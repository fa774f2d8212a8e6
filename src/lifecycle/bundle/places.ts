import type { BundlePlaces } from '../../images/bundle/find-bundle.ts';

/** Where the daemon looks for bundles, and makes them, and their sources. */
export type Places = {
  bundle: BundlePlaces;
  buildDirectory: string;
  /** Null in an installation without sources. */
  sourceRoot: string | null;
  /** Directory of the package, which may contain the manifest of a matching bundle. */
  packageRoot: string;
  cacheDirectory: string;
};
