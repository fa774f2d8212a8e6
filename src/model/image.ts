/** The files of a runtime bundle; `bundle.json` names each with size and SHA-256. */
export const BUNDLE_PARTS = [
  'agent',
  'forwarder',
  'kernel',
  'initramfs',
  'modules',
  'rootfs',
  'workSeed',
  'sshPrivateKey',
  'sshPublicKey',
] as const;
export type BundlePart = (typeof BUNDLE_PARTS)[number];

/** Additional programs of a bundle, which banger does not build. */
export const ADDED_PROGRAMS = ['firecracker', 'jailer'] as const;
export type AddedProgram = (typeof ADDED_PROGRAMS)[number];

export type BundleFile = {
  /** Relative to the bundle directory, no `..`. */
  path: string;
  sizeBytes: number;
  /** SHA-256, hex. */
  sha256: string;
};

/** A program that was added, with its own description of itself. */
export type AddedFile = BundleFile & { version: string };

/** `bundle.json`. */
export type BundleManifest = {
  formatVersion: 1;
  architecture: 'x86_64' | 'aarch64';
  distribution: string;
  /** uname -r of the kernel. */
  kernelVersion: string;
  /** RFC 3339. */
  builtAt: string;
  /** Hash of all build inputs (sources, manifests, package list); if it differs, the bundle is stale. */
  inputsHash: string;
  packages: string[];
  packagesHash: string;
  files: Record<BundlePart, BundleFile> & { [Program in AddedProgram]?: AddedFile | undefined };
};

/** Parts that are made where a bundle is used: anyone else with the private key could log in. */
export type KeyPart = 'sshPrivateKey' | 'sshPublicKey';

/** `bundle.json` of an archive. */
export type PackedManifest = Omit<BundleManifest, 'files'> & { files: Omit<BundleManifest['files'], KeyPart> };

export type Bundle = { directory: string; manifest: BundleManifest };

/** How an image was made. */
export type ImageOrigin = 'bundle' | 'registered' | 'built' | 'imported';
export type InitSystem = 'systemd' | 'runit' | 'none';

/** The request of an `image build`, for building the same again. */
export type ImageRecipe = {
  /** Name of the base image; null: the packages of the distribution. */
  from: string | null;
  distribution: string;
  /** The user's own files, absolute; null: banger's. */
  packagesPath: string | null;
  scriptPath: string | null;
  /** Names of the provisioning steps that ran. */
  steps: string[];
  /** What its builder got of the host's trust; absent: as configured. */
  hostCa?: boolean;
  hostProxy?: boolean;
};

/** What a VM boots from. */
export type Image = {
  id: string;
  name: string;
  /** Whether banger owns the files, which are then in a directory of the image. */
  managed: boolean;
  origin: ImageOrigin;
  kernelPath: string;
  initramfsPath: string;
  modulesPath: string | null;
  rootfsPath: string;
  rootfsBytes: number;
  workSeedPath: string | null;
  /** The smallest work disk; 0 without a seed. */
  workSeedBytes: number;
  distribution: string;
  initSystem: InitSystem;
  /** uname -r of the kernel; null if unknown. */
  kernelVersion: string | null;
  /** Names of the package manifest from which it was made; empty if unknown. */
  packages: string[];
  /** Hash of that manifest; if the repository's differs, the image is stale. */
  packagesHash: string | null;
  /** Guest ports that must answer before the VM counts as ready (e.g. 4096 for opencode). */
  servicePorts: number[];
  /** argv of a container image's entrypoint; null for a system. */
  entrypoint: string[] | null;
  env: Record<string, string>;
  user: string | null;
  workdir: string | null;
  /** The Linux signal that ends the entrypoint; null: SIGTERM. */
  stopSignal: number | null;
  /** What banger ignores of a foreign image, a sentence each. */
  notes: string[];
  /** SHA-256 of the work seed, hex. */
  workSeedFingerprint: string | null;
  /** `SHA256:…` of the SSH key that the image accepts; VMs of another installation get that installation's key. */
  sshKeyFingerprint: string | null;
  /** SHA-256 of the guest agent in its initramfs, hex; its VMs have this agent until the image is rebuilt. Null if unknown. */
  agentSha256: string | null;
  buildLogPath: string | null;
  recipe: ImageRecipe | null;
  /** RFC 3339. */
  createdAt: string;
};

/** Defaults for members that records of older versions lack, and that most ways of making an image do not set. */
export const IMAGE_DEFAULTS = {
  managed: false,
  origin: 'bundle',
  kernelPath: '',
  initramfsPath: '',
  modulesPath: null,
  rootfsPath: '',
  rootfsBytes: 0,
  workSeedPath: null,
  workSeedBytes: 0,
  distribution: '',
  initSystem: 'none',
  kernelVersion: null,
  packages: [],
  packagesHash: null,
  servicePorts: [],
  entrypoint: null,
  env: {},
  user: null,
  workdir: null,
  stopSignal: null,
  notes: [],
  workSeedFingerprint: null,
  sshKeyFingerprint: null,
  agentSha256: null,
  buildLogPath: null,
  recipe: null,
} as const satisfies { [Member in keyof Omit<Image, 'id' | 'name' | 'createdAt'>]: unknown };

/** @returns an image with all members, which shares no arrays */
export function completeImage(known: Pick<Image, 'id' | 'name' | 'createdAt'> & Partial<Image>): Image {
  return { ...structuredClone(IMAGE_DEFAULTS), packages: [], servicePorts: [], notes: [], ...known };
}

/** @returns absolute paths of the files that VMs of the image use */
export function filesOf({ kernelPath, initramfsPath, modulesPath, rootfsPath, workSeedPath }: Image): string[] {
  return [kernelPath, initramfsPath, modulesPath, rootfsPath, workSeedPath].filter((path) => path !== null);
}

/** @returns absolute path of a part of the bundle */
export function bundlePath(bundle: Bundle, part: BundlePart): string {
  return `${bundle.directory}/${bundle.manifest.files[part].path}`;
}

/** @returns absolute path of an added program, if the bundle has it */
export function bundledProgram(bundle: Bundle | undefined, program: AddedProgram): string | undefined {
  const file = bundle?.manifest.files[program];
  return bundle === undefined || file === undefined ? undefined : `${bundle.directory}/${file.path}`;
}
