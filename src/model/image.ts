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

/** Programs that a bundle may hold besides; banger does not build them. */
export const ADDED_PROGRAMS = ['firecracker', 'jailer'] as const;
export type AddedProgram = (typeof ADDED_PROGRAMS)[number];

export type BundleFile = {
  /** Relative to the bundle directory, no `..`. */
  path: string;
  sizeBytes: number;
  /** SHA-256, hex. */
  sha256: string;
};

/** A program that was added, with what it said of itself. */
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
  /** Hash of all build inputs (sources, manifests, package list); differs → stale. */
  inputsHash: string;
  packages: string[];
  packagesHash: string;
  files: Record<BundlePart, BundleFile> & { [Program in AddedProgram]?: AddedFile | undefined };
};

/** Parts that are made where a bundle is used: whoever else has the private key could log in. */
export type KeyPart = 'sshPrivateKey' | 'sshPublicKey';

/** `bundle.json` of an archive. */
export type PackedManifest = Omit<BundleManifest, 'files'> & { files: Omit<BundleManifest['files'], KeyPart> };

export type Bundle = { directory: string; manifest: BundleManifest };

/** How an image came to be. */
export type ImageOrigin = 'bundle' | 'registered' | 'built' | 'imported';
export type InitSystem = 'systemd' | 'runit' | 'none';

/** What `image build` was asked for, so that the same can be asked for again. */
export type ImageRecipe = {
  /** Name of the image it was built from; null: the packages of the distribution. */
  from: string | null;
  distribution: string;
  /** The user's own files, absolute; null: those that banger brings. */
  packagesPath: string | null;
  scriptPath: string | null;
  /** Names of the provisioning steps that ran. */
  steps: string[];
  /** What its builder asked for of the host's trust; absent: what the configuration says. */
  hostCa?: boolean;
  hostProxy?: boolean;
};

/** What a VM boots from. */
export type Image = {
  id: string;
  name: string;
  /** Whether banger owns the files; then they lie together in a directory of the image's own. */
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
  /** uname -r of the kernel; null when it is not known. */
  kernelVersion: string | null;
  /** Names of the package manifest that it was made from; empty when it is not known. */
  packages: string[];
  /** Hash of that manifest; another one in the repository makes the image stale. */
  packagesHash: string | null;
  /** Guest ports that must answer before the VM counts as ready (e.g. 4096 for opencode). */
  servicePorts: number[];
  /** argv of what a container image runs; null for a system. */
  entrypoint: string[] | null;
  env: Record<string, string>;
  user: string | null;
  workdir: string | null;
  /** What asks the entrypoint to end, as a number of Linux; null: SIGTERM. */
  stopSignal: number | null;
  /** What of a foreign image is not obeyed, a sentence each. */
  notes: string[];
  /** SHA-256 of the work seed, hex. */
  workSeedFingerprint: string | null;
  /** `SHA256:…` of the key that the image lets in; a VM of another installation gets that one's. */
  sshKeyFingerprint: string | null;
  /** SHA-256 of the agent in its initramfs, hex; VMs of the image have it until the image is made anew. Null where it is not known. */
  agentSha256: string | null;
  buildLogPath: string | null;
  recipe: ImageRecipe | null;
  /** RFC 3339. */
  createdAt: string;
};

/** Members that records of older versions lack, and that most ways of making an image leave as they are. */
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

/** @returns an image that has all members; arrays are its own */
export function completeImage(known: Pick<Image, 'id' | 'name' | 'createdAt'> & Partial<Image>): Image {
  return { ...structuredClone(IMAGE_DEFAULTS), packages: [], servicePorts: [], notes: [], ...known };
}

/** @returns absolute paths of the files that VMs of the image are made of */
export function filesOf({ kernelPath, initramfsPath, modulesPath, rootfsPath, workSeedPath }: Image): string[] {
  return [kernelPath, initramfsPath, modulesPath, rootfsPath, workSeedPath].filter((path) => path !== null);
}

/** @returns absolute path of a part of the bundle. */
export function bundlePath(bundle: Bundle, part: BundlePart): string {
  return `${bundle.directory}/${bundle.manifest.files[part].path}`;
}

/** @returns absolute path of a program that was added to the bundle, if it was */
export function bundledProgram(bundle: Bundle | undefined, program: AddedProgram): string | undefined {
  const file = bundle?.manifest.files[program];
  return bundle === undefined || file === undefined ? undefined : `${bundle.directory}/${file.path}`;
}
