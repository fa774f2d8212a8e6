import type { Duplex } from 'node:stream';
import type { DriverChecks } from '../../model/finding.ts';
import type { ProcessIdentity } from '../../model/vm.ts';

/**
 * A VMM driver turns a MachineSpec into one running VMM process and controls it.
 *
 * Order: `checks` any time → `start` → use of the Machine → one of the ways to stop → `cleanUp`. A driver keeps nothing between daemons but
 * files in the machine's runtime directory: `adopt` finds a machine again from the spec without its disks and TAP, and the recorded process.
 *
 * After a failed or cancelled `start`, the driver has ended its process and removed its sockets; the caller still calls `cleanUp`, which is
 * idempotent and tolerates missing pieces. Calls for different machines may run at the same time; the caller serialises calls for one
 * machine.
 */
export type Hypervisor = {
  readonly name: string;
  /** Disks and networks that `start` accepts; it refuses any other with UNSUPPORTED. Every VMM takes `raw`. */
  readonly takes: { diskFormats: readonly DiskFormat[]; networks: readonly MachineNetwork['kind'][] };
  /** What this host can do with this driver; `accelerator` is what `start` will use. */
  checks(signal?: AbortSignal): Promise<HypervisorChecks>;
  /**
   * Starts the VMM. Returns once its control socket answers and the vCPUs run, not when the guest is up.
   * @param tell gets what the start waits for, as text for people
   * @throws VMM_FAILED with the log path; PREREQUISITE_MISSING; UNSUPPORTED
   */
  start(spec: MachineSpec, signal: AbortSignal, tell?: (what: string) => void): Promise<Machine>;
  /**
   * Only for drivers that can do it: like `start`, starts a VMM, with a machine as it was when its snapshot was made. Its disks are as they
   * were then, and the spec is the same but for names, paths, the MAC and the TAP: the guest keeps the MAC of the snapshot. Its vCPUs stand
   * still until `resume`, so that the caller can first make sure that the snapshot is not used again, or make another machine of it: two
   * machines of one snapshot share random numbers, keys and addresses, and a second life over disks that have changed destroys them.
   *
   * The directory stays as it is, and any number of machines may be restored from it, each with disks of its own, also at once.
   * Those of the first machine need not be there any more, and a machine does not need the directory any more once this returns. If its
   * memory was written by `memoryPath`, machines share what none of them has changed, and the file keeps its room until the last of them
   * has ended.
   * @throws as `start`; SNAPSHOT_UNUSABLE with what has changed since; VMM_FAILED if the VMM cannot read the snapshot
   */
  restore?(spec: MachineSpec, directory: string, signal: AbortSignal): Promise<Machine>;
  /**
   * Takes control of a running VMM of this spec. If that fails, the VMM stays untouched. A machine that stands still does so until `resume`,
   * but for one whose fork its daemon did not end: it goes on, and nothing is left of the fork but the other machine.
   * @returns undefined if exactly this process no longer runs, or has another spec
   * @throws the reason if it runs and cannot be controlled, such as VMM_FAILED if its control socket does not answer within 5 s
   */
  adopt(spec: MachineSpec, process: ProcessIdentity): Promise<Machine | undefined>;
  /**
   * Finds a VMM of this spec by its control socket, if its process was never recorded or wrongly recorded.
   * @returns its identity, verified to be a VMM that was started for this directory; undefined if there is certainly none
   * @throws if the answer is uncertain, such as PREREQUISITE_MISSING if a program that would know is missing
   */
  find(spec: MachineSpec): Promise<ProcessIdentity | undefined>;
  /** Removes sockets and other transient files of a machine whose process has ended. Logs stay. Idempotent. */
  cleanUp(spec: MachineSpec): Promise<void>;
};

export type HypervisorChecks = DriverChecks & {
  accelerator: 'kvm' | 'tcg';
  /** Only for drivers with more than one accelerator: those that `start` does not use, and whether it could. */
  others?: AcceleratorCheck[];
};

export type AcceleratorCheck = { accelerator: 'kvm' | 'tcg'; usable: boolean; reason: string; remedy?: string };

/** `raw`: a file that holds the whole disk. `device`: a block device of the host. `qcow2`: a file in QEMU's format, over another file. */
export type DiskFormat = 'raw' | 'device' | 'qcow2';

export type MachineDisk = {
  /** Device order in the guest follows the list: the first is /dev/vda. */
  path: string;
  format: DiskFormat;
  readOnly: boolean;
  /** A durable disk keeps what the guest has flushed; an ephemeral one may lose it if the host crashes. */
  durable: boolean;
};

export type MachineNetwork =
  /** A TAP that already exists inside the namespace that `commandPrefix` enters. */
  | { kind: 'tap'; tapName: string; macAddress: string; mtu: number }
  /** The VMM's own user-mode network (QEMU only). `restricted`: no access to the outside. */
  | { kind: 'user'; macAddress: string; restricted: boolean }
  | { kind: 'none' };

/** Everything that a VMM needs; paths are absolute and exist. */
export type MachineSpec = {
  vmId: string;
  vmName: string;
  vcpuCount: number;
  memoryMib: number;
  kernelPath: string;
  initramfsPath: string;
  /** Without console and accelerator arguments; the driver adds what its machine needs. */
  kernelArguments: readonly string[];
  disks: readonly MachineDisk[];
  network: MachineNetwork;
  /** 0700, one per VM, short enough for socket paths below 100 bytes; sockets go here. */
  runtimeDirectory: string;
  /** Guest serial output, bounded by the driver. */
  serialLogPath: string;
  /** stdout, stderr and log of the VMM. */
  vmmLogPath: string;
  /**
   * For a machine of which a snapshot is going to be made: the file `memory` in the directory of that snapshot, which does not exist yet.
   * The guest's memory lies in it while the machine runs, and `createSnapshot` has only the rest to write. Drivers whose snapshots have
   * such a file anyway ignore it.
   */
  memoryPath?: string;
  /** Arguments in front of the VMM's, e.g. nsenter into the network namespace. The program must exec, so that the pid stays. */
  commandPrefix: readonly string[];
  /** A process in the network namespace that `commandPrefix` enters; absent: the host's. For a VMM that another program starts. */
  networkPid?: number;
};

/** Limits of a device; an absent one means unlimited. */
export type TransferLimit = { bytesPerSecond?: number; operationsPerSecond?: number };

/** Limits of a machine. An absent member stays as it is; an empty one removes the limit. */
export type MachineLimits = {
  /** For each disk. */
  disk?: TransferLimit;
  /** Towards the guest, and from it. */
  receive?: TransferLimit;
  send?: TransferLimit;
};

/** How a VMM process ended. */
export type MachineExit = {
  /**
   * `guest-poweroff`, `guest-reset` and `guest-panic` only if the VMM reported them. `forbidden-call`: its system call filter ended it,
   * because the VMM is not the tested version, or because its guest has taken it over.
   */
  cause: 'guest-poweroff' | 'guest-reset' | 'guest-panic' | 'host-request' | 'forbidden-call' | 'crash' | 'unknown';
  detail: string;
};

/** A port of the host that the VMM's own user network forwards to a port of the guest. */
export type UserPort = { hostAddress: string; hostPort: number; guestPort: number; protocol: 'tcp' | 'udp' };

/** A running VMM. */
export type Machine = {
  readonly process: ProcessIdentity;
  readonly accelerator: 'kvm' | 'tcg';
  /** How many channels to the guest agent may be open at once; further callers wait. */
  readonly channelCount: number;
  /** Settles once, when the process has ended (also for an adopted one). */
  readonly exited: Promise<MachineExit>;
  /**
   * Only for drivers whose guests may hang while they boot, and only after `start`: settles with what the driver saw once it is certain
   * that the guest will not come up, although its VMM lives. Never settles after the guest agent has answered. The caller ends the machine
   * and starts it again.
   */
  readonly hung?: Promise<string>;
  /**
   * Opens a fresh, synchronised channel to the guest agent; waits for the guest while it boots.
   * The channel starts in HTTP state (docs/agent-protocol.md). Destroying it ends the session in the guest.
   * @throws AGENT_UNREACHABLE if cancelled, if the VMM ends, or if no channel is free
   */
  openAgentChannel(signal: AbortSignal): Promise<AgentChannel>;
  /** Asks the guest to shut down, through the machine (ACPI button, Ctrl-Alt-Del). Returns at once; the guest may ignore it. */
  requestShutdown(): Promise<void>;
  /** Ends the VMM without asking the guest. Returns once the process has ended. Idempotent. */
  terminate(): Promise<void>;
  /** Port forwards of the VMM's own user network. Only on drivers that have one, only with network.kind `user`, also for an adopted VMM. */
  forwardUserPort?(forward: UserPort): Promise<void>;
  removeUserPort?(forward: UserPort): Promise<void>;
  /** @returns the open forwards, whichever daemon opened them */
  listUserPorts?(): Promise<UserPort[]>;
  /**
   * Only for drivers that pause the guest when the host's disk is full, and continue it when there is room again.
   * @param listener gets the present state at once, and every change; there is one listener
   */
  onFullDisk?(listener: (isFull: boolean) => void): void;
  /**
   * Only for drivers that cannot do that: makes the guest's disk requests wait, or continue, while the guest itself runs. A request that
   * waits does not fail. A few more may still be served. Idempotent, also if another daemon held the disks.
   */
  holdDisks?(isHeld: boolean): Promise<void>;
  /** Pauses and continues the vCPUs. The driver may close channels to the guest agent that are open at that time. */
  pause?(): Promise<void>;
  resume?(): Promise<void>;
  /**
   * For drivers that ever pause, by themselves (a full disk) or on request.
   * @param listener called each time the vCPUs continue after a pause, during which the guest's clock stood still; there is one listener
   */
  onResume?(listener: () => void): void;
  /**
   * Writes a snapshot of a running machine without its disks: all of the guest's memory, and a key of what must be the same where it
   * continues. Afterwards the machine stands still, so that its disks stay as its memory knows them. `resume` lets it continue, and makes
   * the snapshot outdated. After a failure or a cancel it runs as before, and the files are useless.
   * @param directory exists and is empty, apart from the file at `memoryPath`; the caller syncs and publishes it
   * @throws VMM_FAILED, NO_SPACE, CANCELLED
   */
  createSnapshot?(directory: string, signal: AbortSignal): Promise<void>;
  /**
   * Starts another machine as this one is at one moment: with its memory, and with copies of its disks. This one goes on: it stands still
   * only for the end of the transfer. One that stood still, still does. The driver may close channels to it that are open at that time. The
   * other one stands still until `resume`, and knows nothing of open channels. After a failure or a cancel, this machine goes on, and the
   * other one does not exist.
   * @param spec as of this machine, but for names, places and addresses; its disks are blank and as large as this machine's
   * @param directory exists and is empty, on a disk; for what the driver has to write, at most as much as the memory. The caller removes it
   * @throws as `start`; NO_SPACE; UNSUPPORTED if this machine is not what `start` would make today
   */
  fork?(spec: MachineSpec, directory: string, signal: AbortSignal): Promise<Machine>;
  /** @returns the VMM's own counters, under its own names. @throws VMM_FAILED if it sends none within a few seconds */
  readMetrics?(): Promise<Record<string, unknown>>;
  /**
   * Makes the VMM reopen the file of a disk, and see its new size. The guest must not have the disk mounted, unless the file is the same
   * one, grown.
   * @param index in the spec's list @param path default: the present one
   */
  updateDisk?(index: number, path?: string): Promise<void>;
  setLimits?(limits: MachineLimits): Promise<void>;
  /** Closes control connections without touching the VMM (for the daemon's end). */
  detach(): void;
};

/** One byte stream to one worker of the guest agent. */
export type AgentChannel = {
  readonly stream: Duplex;
  /** Returns the channel in HTTP state for the next caller. Otherwise call `destroy`. */
  release(): void;
  destroy(): void;
};
