/** The files of a runtime bundle; `bundle.json` names each with size and SHA-256 (2.4). */
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

/** What a VM boots from. */
export type Image = {
  id: string;
  name: string;
  managed: boolean;
  kernelPath: string;
  initramfsPath: string;
  modulesPath: string | null;
  rootfsPath: string;
  rootfsBytes: number;
  workSeedPath: string | null;
  /** The smallest work disk; 0 without a seed. */
  workSeedBytes: number;
  distribution: string;
  initSystem: 'systemd' | 'runit' | 'none';
  packagesHash: string | null;
  /** Guest ports that must answer before the VM counts as ready (e.g. 4096 for opencode). */
  servicePorts: number[];
  createdAt: string;
};

/** @returns absolute path of a part of the bundle. */
export function bundlePath(bundle: Bundle, part: BundlePart): string {
  return `${bundle.directory}/${bundle.manifest.files[part].path}`;
}

/** @returns absolute path of a program that was added to the bundle, if it was */
export function bundledProgram(bundle: Bundle | undefined, program: AddedProgram): string | undefined {
  const file = bundle?.manifest.files[program];
  return bundle === undefined || file === undefined ? undefined : `${bundle.directory}/${file.path}`;
}
