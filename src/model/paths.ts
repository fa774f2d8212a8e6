import { shortId } from './vm.ts';

/** Every file of one VM has its one name here. */
export type VmPaths = {
  /** Everything that must survive: disks and keys. */
  directory: string;
  /** The record once more (store/vm-manifests.ts). */
  manifest: string;
  rootOverlay: string;
  workDisk: string;
  sshHostKey: string;
  knownHosts: string;
  /** Kept after a failed create, so that the reason can be read. */
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
    sshHostKey: `${directory}/ssh_host_ed25519_key`,
    knownHosts: `${directory}/known_hosts`,
    logDirectory,
    serialLog: `${logDirectory}/serial.log`,
    vmmLog: `${logDirectory}/vmm.log`,
    eventLog: `${logDirectory}/events.log`,
    // Short: the kernel takes 107 bytes of socket path.
    runtimeDirectory: `${roots.runtimeDirectory}/v/${shortId(vm)}`,
  };
}
