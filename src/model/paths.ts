import { shortId } from './vm.ts';

/** Every file of one VM has its one name here. */
export type VmPaths = {
  /** Everything that must survive: disks, keys, logs. */
  directory: string;
  rootOverlay: string;
  workDisk: string;
  sshHostKey: string;
  knownHosts: string;
  serialLog: string;
  vmmLog: string;
  eventLog: string;
  /** Sockets; gone after a reboot. */
  runtimeDirectory: string;
};

/** @param roots the daemon's state and runtime directories, absolute */
export function vmPaths(roots: { stateDirectory: string; runtimeDirectory: string }, vm: { id: string }): VmPaths {
  const directory = `${roots.stateDirectory}/vms/${vm.id}`;
  return {
    directory,
    rootOverlay: `${directory}/root.overlay`,
    workDisk: `${directory}/work.raw`,
    sshHostKey: `${directory}/ssh_host_ed25519_key`,
    knownHosts: `${directory}/known_hosts`,
    serialLog: `${directory}/serial.log`,
    vmmLog: `${directory}/vmm.log`,
    eventLog: `${directory}/events.log`,
    // Short: the kernel takes 107 bytes of socket path.
    runtimeDirectory: `${roots.runtimeDirectory}/v/${shortId(vm)}`,
  };
}
