import type { Host } from '../../../host/host.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { MachineSpec } from '../contract.ts';
import { type MachinePaths, machinePaths, processArguments } from './machine-config.ts';
import type { ProcessStatus } from '../process-end.ts';

/** How the Firecracker process of a machine comes to be and where its files are: beside the daemon, or inside a jail. */
export type Launch = {
  /** Where the daemon finds the machine's sockets and pipes. */
  paths(spec: MachineSpec): MachinePaths;
  /** The path under which the VMM sees a file of the host. */
  seen(spec: MachineSpec, hostPath: string): string;
  /** The instance id that the process is given. */
  instanceId(spec: MachineSpec): string;
  /**
   * Starts the process; its API socket appears later. The pipes are there, nothing of an earlier process is.
   * @returns its identity, and its exit where the daemon is the parent
   */
  start(spec: MachineSpec, program: string): Promise<{ identity: ProcessIdentity; exited?: Promise<ProcessStatus> }>;
  /** @returns the process that was started for this machine's directory, if it still runs */
  find(spec: MachineSpec): ProcessIdentity | undefined;
  /** Removes what `start` left besides sockets and pipes, once the process is gone. Idempotent. */
  cleanUp(spec: MachineSpec): Promise<void>;
};

/** The process runs with the daemon's user and sees the host's paths. */
export function directLaunch(host: Host): Launch {
  return {
    paths: machinePaths,
    seen: (_spec, hostPath) => hostPath,
    instanceId: (spec) => spec.vmId,
    start: (spec, program) =>
      host.spawnDetached(processArguments({ spec, program, apiPath: machinePaths(spec).api }), { outputPath: spec.vmmLogPath }),
    // No other process names this socket; the programs that exec into Firecracker name it too, and are the same process.
    find: (spec) => host.processesWithArgument(machinePaths(spec).api)[0],
    cleanUp: () => Promise.resolve(),
  };
}
