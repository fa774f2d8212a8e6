import type { Duplex } from 'node:stream';
import type { DriverChecks } from '../../model/finding.ts';
import type { ProcessIdentity } from '../../model/vm.ts';

/**
 * What a VMM driver does: turns a MachineSpec into one running VMM process and gives control over it.
 *
 * Order: `checks` any time → `start` → use of the Machine → `stop` ways → `cleanUp`. A driver keeps nothing between
 * daemon lives: `adopt` finds a machine again from the same spec and the recorded process.
 *
 * After a failed or cancelled `start` the driver has ended its process and removed its sockets; the caller still calls
 * `cleanUp`, which is idempotent and tolerates pieces already gone. Different machines may be handled at the same time;
 * calls for one machine are serialised by the caller.
 */
export type Hypervisor = {
  readonly name: string;
  /** Disks and networks that `start` accepts; anything else is refused with UNSUPPORTED. Every VMM takes `raw`. */
  readonly takes: { diskFormats: readonly DiskFormat[]; networks: readonly MachineNetwork['kind'][] };
  /** What this host can do with it; `accelerator` is what `start` will use. */
  checks(signal?: AbortSignal): Promise<HypervisorChecks>;
  /**
   * Starts the VMM; returns when its control socket answers and the vCPUs run (not when the guest is up).
   * @param tell gets what the start waits for, as text for people
   * @throws VMM_FAILED with the log path; PREREQUISITE_MISSING; UNSUPPORTED
   */
  start(spec: MachineSpec, signal: AbortSignal, tell?: (what: string) => void): Promise<Machine>;
  /**
   * Only of drivers that can: starts a VMM that goes on where a machine was when its snapshot was made, as `start` otherwise. It is of
   * the same spec, whose disks and TAP are as they were then, and both files stay while it runs. Two machines of one snapshot would
   * have the same random numbers, keys and addresses: it is for one life that is interrupted, and no way to make many.
   * @throws as `start`; VMM_FAILED when the snapshot cannot be used
   */
  restore?(spec: MachineSpec, snapshot: MachineSnapshot, signal: AbortSignal): Promise<Machine>;
  /**
   * Takes control over a VMM of this spec that runs; touches nothing of it when that fails.
   * @returns undefined when exactly this process does not run any more, or is none of this spec
   * @throws with the reason when it runs and cannot be controlled, such as VMM_FAILED when its control socket does not answer within 5 s
   */
  adopt(spec: MachineSpec, process: ProcessIdentity): Promise<Machine | undefined>;
  /**
   * Finds a VMM of this spec whose process was never recorded or wrongly recorded, by its control socket.
   * @returns its identity, verified to be a VMM started for this directory; undefined when there is surely none
   * @throws when it cannot be told, such as PREREQUISITE_MISSING when who would know is not there
   */
  find(spec: MachineSpec): Promise<ProcessIdentity | undefined>;
  /** Removes sockets and other transient files of a machine whose process is gone. Logs stay. Idempotent. */
  cleanUp(spec: MachineSpec): Promise<void>;
};

export type HypervisorChecks = DriverChecks & {
  accelerator: 'kvm' | 'tcg';
  /** Only of drivers with more than one accelerator: those that `start` does not use, and whether it could. */
  others?: AcceleratorCheck[];
};

export type AcceleratorCheck = { accelerator: 'kvm' | 'tcg'; usable: boolean; reason: string; remedy?: string };

/** `raw`: a file that holds all of the disk. `device`: a block device of the host. `qcow2`: a file in QEMU's format, over another file. */
export type DiskFormat = 'raw' | 'device' | 'qcow2';

export type MachineDisk = {
  /** Device order in the guest follows the list: first is /dev/vda. */
  path: string;
  format: DiskFormat;
  readOnly: boolean;
  /** A durable disk keeps what the guest has flushed; an ephemeral one may lose it with the host. */
  durable: boolean;
};

export type MachineNetwork =
  /** A TAP that exists already inside the namespace that `commandPrefix` enters. */
  | { kind: 'tap'; tapName: string; macAddress: string; mtu: number }
  /** The VMM's own user-mode network (QEMU only). `restricted`: no way out. */
  | { kind: 'user'; macAddress: string; restricted: boolean }
  | { kind: 'none' };

/** Everything a VMM needs to know; paths are absolute and exist. */
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
  /** 0700, per VM, short enough that socket paths stay below 100 bytes; sockets go here. */
  runtimeDirectory: string;
  /** Guest serial output, bounded by the driver. */
  serialLogPath: string;
  /** stdout, stderr and log of the VMM. */
  vmmLogPath: string;
  /** argv in front of the VMM's, e.g. nsenter into the network namespace; must exec, so that the pid stays. */
  commandPrefix: readonly string[];
  /** A process in the network namespace that `commandPrefix` enters; absent: the host's. For a VMM that others start. */
  networkPid?: number;
};

/** Files of a snapshot, absolute: a paused machine, and never a disk. They hold all that the guest had in memory. */
export type MachineSnapshot = { statePath: string; memoryPath: string };

/** Limits of a device; absent ones are unlimited. */
export type TransferLimit = { bytesPerSecond?: number; operationsPerSecond?: number };

/** Limits of a machine; those that are absent stay as they are, an empty one is lifted. */
export type MachineLimits = {
  /** Holds for each disk. */
  disk?: TransferLimit;
  /** Towards the guest, and from it. */
  receive?: TransferLimit;
  send?: TransferLimit;
};

/** How a VMM process ended. */
export type MachineExit = {
  /**
   * `guest-poweroff`, `guest-reset` and `guest-panic` only when the VMM said so. `forbidden-call`: its filter of system calls ended it,
   * because the VMM is not what it was tested with, or because its guest has taken it over.
   */
  cause: 'guest-poweroff' | 'guest-reset' | 'guest-panic' | 'host-request' | 'forbidden-call' | 'crash' | 'unknown';
  detail: string;
};

/** A port of the host that the VMM's own user network leads to one of the guest. */
export type UserPort = { hostAddress: string; hostPort: number; guestPort: number; protocol: 'tcp' | 'udp' };

/** A running VMM. */
export type Machine = {
  readonly process: ProcessIdentity;
  readonly accelerator: 'kvm' | 'tcg';
  /** How many channels to the agent may be open at once; one caller more waits. */
  readonly channelCount: number;
  /** Settles once, when the process is gone (also for an adopted one). */
  readonly exited: Promise<MachineExit>;
  /**
   * Only of drivers whose guests may hang while they boot, and only after `start`: settles with what was seen once it is clear that the
   * guest will not come up, though its VMM lives. Never after the agent has answered. The caller ends the machine and starts it again.
   */
  readonly hung?: Promise<string>;
  /**
   * Opens a fresh, synchronised channel to the guest's agent; waits for the guest while it boots.
   * The channel starts in HTTP state (docs/agent-protocol.md). Destroying it ends the session in the guest.
   * @throws AGENT_UNREACHABLE when cancelled, when the VMM ends, or when no channel is free
   */
  openAgentChannel(signal: AbortSignal): Promise<AgentChannel>;
  /** Asks the guest through the machine (ACPI button, Ctrl-Alt-Del); returns at once, no promise that it obeys. */
  requestShutdown(): Promise<void>;
  /** Ends the VMM without asking the guest; returns when the process is gone. Idempotent. */
  terminate(): Promise<void>;
  /** Port forwards of the VMM's own user network; only on drivers that have one, only with network.kind `user`, also of an adopted VMM. */
  forwardUserPort?(forward: UserPort): Promise<void>;
  removeUserPort?(forward: UserPort): Promise<void>;
  /** @returns those that are open, whichever daemon opened them */
  listUserPorts?(): Promise<UserPort[]>;
  /**
   * Only of drivers that pause the guest when the host's disk is full, and let it go on when there is room again.
   * @param listener told at once how it is, and of every change; one listener
   */
  onFullDisk?(listener: (isFull: boolean) => void): void;
  /**
   * Only of drivers that cannot do that: lets what the guest asks of its disks wait, or go on, while the guest itself runs. A request that
   * waits does not fail. A few may be served once more after it. Idempotent, also when another daemon held them.
   */
  holdDisks?(isHeld: boolean): Promise<void>;
  /** Stops and continues the vCPUs. Channels to the agent that are open then may be closed by it. */
  pause?(): Promise<void>;
  resume?(): Promise<void>;
  /**
   * Of drivers that pause at all, by themselves (a full disk) or when asked.
   * @param listener told every time that the vCPUs run again after they stood still, and the guest's clock with them; one listener
   */
  onResume?(listener: () => void): void;
  /**
   * Writes the state of a paused machine, which stays paused, to files that are made or overwritten; costs a write of all its memory.
   * @throws VMM_FAILED; then what was written is useless
   */
  createSnapshot?(snapshot: MachineSnapshot): Promise<void>;
  /** @returns the VMM's own counters, as it names them. @throws VMM_FAILED when it gives none within a few seconds */
  readMetrics?(): Promise<Record<string, unknown>>;
  /**
   * Makes the VMM open the file of a disk anew, and see its new size. The guest must not have the disk mounted, unless
   * the file is the same one, grown.
   * @param index in the spec's list @param path default: the one it has
   */
  updateDisk?(index: number, path?: string): Promise<void>;
  setLimits?(limits: MachineLimits): Promise<void>;
  /** Closes control connections without touching the VMM (daemon shut-down). */
  detach(): void;
};

/** One byte stream to one agent worker. */
export type AgentChannel = {
  readonly stream: Duplex;
  /** Returns the channel in HTTP state for the next caller; otherwise call `destroy`. */
  release(): void;
  destroy(): void;
};
