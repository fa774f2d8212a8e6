import type { Image } from '../model/image.ts';

/**
 * A distribution from whose packages an image can be made without a base image. The host fetches its packages and assembles them, without
 * running anything of them; their scripts run afterwards in a temporary VM: `configure`.
 */
export type Distribution = {
  /** @returns names of the packages of an image if the user names none. @throws UNSUPPORTED in an installation without them */
  packages(): Promise<string[]>;
  /** Checks for everything that it needs on this host. @throws PREREQUISITE_MISSING, BUNDLE_MISSING, UNSUPPORTED, CONFIG_INVALID */
  check(): Promise<void>;
  /**
   * Downloads the packages, their dependencies and a kernel, and changes nothing but a cache.
   * @throws DOWNLOAD_FAILED, INVALID_INPUT for unknown packages, NO_SPACE
   */
  fetch(request: FetchRequest): Promise<FetchedSystem>;
  /** @returns a shell script that the guest runs as root, once, with the guest agent as its first program. @throws UNSUPPORTED */
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
  /** Working directory; the caller removes it. */
  scratch: string;
};

/** Facts about a system once its files exist. */
export type SystemFacts = Pick<Image, 'distribution' | 'initSystem' | 'kernelVersion' | 'agentSha256'>;

export type FetchedSystem = {
  /** Writes kernel, initramfs, modules, root file system and work seed. @throws DOWNLOAD_FAILED, NO_SPACE */
  assemble(request: SystemRequest): Promise<SystemFacts>;
};
