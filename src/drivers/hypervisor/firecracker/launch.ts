import type { Socket } from 'node:net';
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
  /** Connects to one of these sockets, which is the VMM's or this user's; others are refused. */
  connect(spec: MachineSpec, path: string): Socket;
  /** Whether the VMM sees every file of the daemon's user, as snapshots need it. */
  readonly seesAllFiles: boolean;
  /** The instance id that the process is given. */
  instanceId(spec: MachineSpec): string;
  /**
   * Starts the process, with nothing of an earlier one around. The pipes are there when it returns; the API socket may
   * appear later.
   * @returns its identity, and its exit where the daemon is the parent
   */
  start(spec: MachineSpec, program: string): Promise<{ identity: ProcessIdentity; exited?: Promise<ProcessStatus> }>;
  /** @returns the process that was started for this machine's directory, if it still runs */
  find(spec: MachineSpec): Promise<ProcessIdentity | undefined>;
  /** @returns whether the process is gone */
  end(spec: MachineSpec, process: ProcessIdentity): Promise<boolean>;
  /** @returns how a process ended of which the daemon is not the parent, where somebody knows */
  status(spec: MachineSpec): Promise<ProcessStatus | undefined>;
  /** Removes what `start` left, sockets and pipes included, once the process is gone. Idempotent. */
  cleanUp(spec: MachineSpec): Promise<void>;
};

const KILL_GRACE_MS = 1000;

/** The process runs with the daemon's user and sees the host's paths. */
export function directLaunch(host: Host): Launch {
  return {
    seesAllFiles: true,
    paths: machinePaths,
    seen: (_spec, hostPath) => hostPath,
    connect: (_spec, path) => host.connectUnix(path),
    instanceId: (spec) => spec.vmId,
    start: async (spec, program) => {
      const { api, log, serial, metrics } = machinePaths(spec);
      await host.makeFifos([log, serial, metrics]);
      return host.spawnDetached(processArguments({ spec, program, apiPath: api }), { outputPath: spec.vmmLogPath });
    },
    // No other process names this socket; the programs that exec into Firecracker name it too, and are the same process.
    find: (spec) => Promise.resolve(host.processesWithArgument(machinePaths(spec).api)[0]),
    end: (_spec, process) => host.endProcess(process, KILL_GRACE_MS),
    status: () => Promise.resolve(undefined),
    cleanUp: async (spec) => void (await Promise.all(Object.values(machinePaths(spec)).map((path) => host.removeTree(path)))),
  };
}
