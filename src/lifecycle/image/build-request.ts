import type { Image } from '../../model/image.ts';
import type { ProvisionStep } from '../../model/provisioning.ts';

export type BuildRequest = {
  name: string;
  /** Name or id; default: the default image, or one of the distribution. */
  from?: string | undefined;
  /** Beginning of the distribution that the base must be of; or one that is built from its own packages. */
  distribution?: string | undefined;
  /** Of the root file system; default: what new VMs get. */
  sizeBytes?: number | undefined;
  /** In place of the packages that banger's own list names. */
  packages?: { path: string; names: string[] } | undefined;
  script?: { path: string; text: string } | undefined;
  /** Names of provisioning steps. */
  only?: string[] | undefined;
  skip?: string[] | undefined;
  replace?: boolean | undefined;
  hostCa?: boolean | undefined;
  hostProxy?: boolean | undefined;
};

/** A request, understood. */
export type Build = { request: BuildRequest; base: Image; steps: ProvisionStep[]; packages: string[]; rootfsBytes: number };
