import type { Image } from '../../model/image.ts';
import type { ProvisionStep } from '../../model/provisioning.ts';

export type BuildRequest = {
  name: string;
  /** Name or id; default: the default image, or one of the distribution. */
  from?: string | undefined;
  /** The beginning of the base's distribution; or a distribution that is built from its own packages. */
  distribution?: string | undefined;
  /** Of the root file system; default: as for new VMs. */
  sizeBytes?: number | undefined;
  /** Instead of the packages in banger's own list. */
  packages?: { path: string; names: string[] } | undefined;
  script?: { path: string; text: string } | undefined;
  /** Names of provisioning steps. */
  only?: string[] | undefined;
  skip?: string[] | undefined;
  replace?: boolean | undefined;
  hostCa?: boolean | undefined;
  hostProxy?: boolean | undefined;
};

/** A validated request. */
export type Build = { request: BuildRequest; base: Image; steps: ProvisionStep[]; packages: string[]; rootfsBytes: number };
