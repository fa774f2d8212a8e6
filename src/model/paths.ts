import { shortId } from './vm.ts';

/** The paths of all files of one VM. */
export type VmPaths = {
  /** Holds everything that must survive: disks and keys. */
  directory: string;
  /** The copy of the record (store/vm-manifests.ts). */
  manifest: string;
  rootOverlay: string;
  workDisk: string;
  /** What a suspended VM had in memory. Whole or not there: it comes by one rename, and goes by one before the VM uses its disks again. */
  snapshot: string;
  sshHostKey: string;
  knownHosts: string;
  /** Kept after a failed create, so that users can read the reason. */
  logDirectory: string;
  serialLog: string;
  vmmLog: string;
  eventLog: string;
  /** Sockets; gone after a reboot. */
  runtimeDirectory: string;
};

/** @param roots the daemon's state and runtime directories, absolute */
export function vmPaths(roots: { stateDirectory: string; runtimeDirectory: string }, vm: { id: string }): VmPaths {
  const directory = `${roots.stateDirectory}/vms/${vm.id}`;
  const logDirectory = `${roots.stateDirectory}/logs/${vm.id}`;
  return {
    directory,
    manifest: `${directory}/vm.json`,
    rootOverlay: `${directory}/root.overlay`,
    workDisk: `${directory}/work.raw`,
    snapshot: `${directory}/snapshot`,
    sshHostKey: `${directory}/ssh_host_ed25519_key`,
    knownHosts: `${directory}/known_hosts`,
    logDirectory,
    serialLog: `${logDirectory}/serial.log`,
    vmmLog: `${logDirectory}/vmm.log`,
    eventLog: `${logDirectory}/events.log`,
    // Short: the kernel permits 107 bytes of socket path.
    runtimeDirectory: `${roots.runtimeDirectory}/v/${shortId(vm)}`,
  };
}

/** The paths of all files of one managed image. */
export type ImagePaths = {
  /** The parent of all images. */
  root: string;
  /** Complete or missing: it appears by one rename from `staging`. */
  directory: string;
  /** Where the image is made; swept if no operation uses it. */
  staging: string;
  buildLog: string;
};

/** Suffix of directories in which images are made, and of those that are being removed. */
export const STAGING_ENDING = '.partial';

/** @param roots the daemon's state directory, absolute */
export function imagePaths(roots: { stateDirectory: string }, image: { id: string }): ImagePaths {
  const root = `${roots.stateDirectory}/images`;
  const directory = `${root}/${image.id}`;
  return { root, directory, staging: `${directory}${STAGING_ENDING}`, buildLog: `${roots.stateDirectory}/image-logs/${image.id}.log` };
}
