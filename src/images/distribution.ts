import type { Image } from '../model/image.ts';

/**
 * A distribution from whose packages an image is made without another image to begin with. Its packages are fetched and put together
 * on the host, where nothing of them is ever run; what they want to run, a temporary VM runs afterwards: `configure`.
 */
export type Distribution = {
  /** @returns names of the packages that an image has when the user does not say. @throws UNSUPPORTED in an installation without them */
  packages(): Promise<string[]>;
  /** Looks for all that it takes on this host. @throws PREREQUISITE_MISSING, BUNDLE_MISSING, UNSUPPORTED, CONFIG_INVALID */
  check(): Promise<void>;
  /**
   * Fetches what the packages and a kernel need, and changes nothing but a cache.
   * @throws DOWNLOAD_FAILED, INVALID_INPUT for packages that there are not, NO_SPACE
   */
  fetch(request: FetchRequest): Promise<FetchedSystem>;
  /** @returns a shell script that the guest runs as root, once, with the agent as its first program. @throws UNSUPPORTED */
  configure(): Promise<string>;
};

type Told = { signal: AbortSignal; onProgress(text: string, fraction?: number): void; onLog(line: string): void };

export type FetchRequest = Told & {
  names: readonly string[];
};

export type SystemRequest = Told & {
  /** Files to write; absolute, like all paths here. */
  kernel: string;
  initramfs: string;
  modules: string;
  rootfs: string;
  workSeed: string;
  /** Directory of this work alone; removed by the caller. */
  scratch: string;
};

/** What is known of a system when its files are there. */
export type SystemFacts = Pick<Image, 'distribution' | 'initSystem' | 'kernelVersion' | 'agentSha256'>;

export type FetchedSystem = {
  /** Writes kernel, initramfs, modules, root file system and work seed. @throws DOWNLOAD_FAILED, NO_SPACE */
  assemble(request: SystemRequest): Promise<SystemFacts>;
};
