import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { MachineSpec } from '../contract.ts';
import { type MachinePaths, machinePaths, processArguments } from './machine-config.ts';
import type { ProcessStatus } from '../process-end.ts';

/** How to start the Firecracker process of a machine, and where its files are: beside the daemon, or inside a jail. */
export type Launch = {
  /** Where the daemon finds the machine's sockets and pipes. */
  paths(spec: MachineSpec): MachinePaths;
  /** The VMM's path of a file of the host. */
  seen(spec: MachineSpec, hostPath: string): string;
  /** Connects to one of these sockets, which belongs to the VMM or to this user; others are refused. */
  connect(spec: MachineSpec, path: string): Socket;
  /** Whether the VMM sees every file of the daemon's user, which snapshots need. */
  readonly seesAllFiles: boolean;
  /** The instance id of the process. */
  instanceId(spec: MachineSpec): string;
  /**
   * Starts the process, without leftovers of an earlier one. The pipes exist when it returns; the API socket may appear later.
   * @returns its identity, and its exit if the daemon is the parent
   */
  start(spec: MachineSpec, program: string): Promise<{ identity: ProcessIdentity; exited?: Promise<ProcessStatus> }>;
  /** @returns the process that was started for this machine's directory, if it still runs */
  find(spec: MachineSpec): Promise<ProcessIdentity | undefined>;
  /** @returns whether the process has ended */
  end(spec: MachineSpec, process: ProcessIdentity): Promise<boolean>;
  /** @returns how a process ended that is not a child of this daemon, if it can be found out */
  status(spec: MachineSpec): Promise<ProcessStatus | undefined>;
  /** Removes what `start` left, including sockets and pipes, once the process has ended. Idempotent. */
  cleanUp(spec: MachineSpec): Promise<void>;
};

const KILL_GRACE_MS = 1000;

/**
 * Links to the disks, by their numbers. A state that names them fits every machine: no other disk is opened when it is loaded, and the one
 * of the machine that it was made of need not be there any more.
 */
const LINKS = 'disks';
const linkOf = (index: number): string => join(LINKS, `${index}`);

/** @returns where the daemon finds a disk of a running machine */
export const diskOf = ({ runtimeDirectory }: MachineSpec, index: number): string => join(runtimeDirectory, linkOf(index));

/** The process runs as the daemon's user, in the machine's directory, and sees the host's paths. */
export function directLaunch(host: Host): Launch {
  return {
    seesAllFiles: true,
    paths: machinePaths,
    seen: ({ disks }, hostPath) => {
      const index = disks.findIndex(({ path }) => path === hostPath);
      return index < 0 ? hostPath : linkOf(index);
    },
    connect: (_spec, path) => host.connectUnix(path),
    instanceId: (spec) => spec.vmId,
    start: async (spec, program) => {
      const { api, log, serial, metrics } = machinePaths(spec);
      await host.makeFifos([log, serial, metrics]);
      await host.makePrivateDirectory(join(spec.runtimeDirectory, LINKS));
      for (const [index, { path }] of spec.disks.entries()) await host.makeLink(path, diskOf(spec, index));
      const options = { outputPath: spec.vmmLogPath, cwd: spec.runtimeDirectory };
      return host.spawnDetached(processArguments({ spec, program, apiPath: api }), options);
    },
    // No other process names this socket. The programs that exec into Firecracker name it too, and are the same process.
    find: (spec) => Promise.resolve(host.processesWithArgument(machinePaths(spec).api)[0]),
    end: (_spec, process) => host.endProcess(process, KILL_GRACE_MS),
    status: () => Promise.resolve(undefined),
    cleanUp: async (spec) => {
      const made = [...Object.values(machinePaths(spec)), join(spec.runtimeDirectory, LINKS)];
      await Promise.all(made.map((path) => host.removeTree(path)));
    },
  };
}
