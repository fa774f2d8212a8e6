import type { BundlePlaces } from '../../images/bundle/find-bundle.ts';

/** Where bundles are looked for, made, and made from. */
export type Places = {
  bundle: BundlePlaces;
  buildDirectory: string;
  /** Null in an installation that brings no sources. */
  sourceRoot: string | null;
  /** Directory of the package, which may bring a manifest of a bundle that goes with it. */
  packageRoot: string;
  cacheDirectory: string;
};
