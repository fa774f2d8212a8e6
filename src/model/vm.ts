import type { AllSettings } from './settings/all.ts';
import type { SpecOf } from './settings/setting.ts';
import type { VmState } from './vm-state.ts';

/** The user's request, completed by defaults; a member for each setting. */
export type VmSpec = SpecOf<AllSettings>;

/** A process, safe against pid reuse: the start time is field 22 of /proc/PID/stat, in clock ticks since boot. */
export type ProcessIdentity = { pid: number; startTicks: number };

/** A problem of a running VM, for people. */
export type VmTrouble = { reason: string; remedy: string };

/** What exists on the host while a VM runs; recorded before each piece is made. */
export type VmRuntime = {
  /** /proc/sys/kernel/random/boot_id of the host boot in which this was recorded. */
  bootId: string;
  process?: ProcessIdentity;
  hypervisor?: string;
  accelerator?: string;
  storageDriver?: string;
  networkDriver?: string;
  /** Whether it runs a rescue system beside its disks, instead of its own system. */
  rescue?: boolean;
  /** The parts that could not be set up when it started. */
  troubles?: readonly VmTrouble[];
  /** Whether its image has an SSH server; absent until the guest has told. */
  hasSshServer?: boolean;
  /** Whether it was suspended for a shutdown of the host, after which it goes on. */
  resumes?: boolean;
  /** The guest's own address; in QEMU's user network it differs from the planned one. */
  guestAddress?: string;
};

/** A port of the host that a user forwarded to one of the guest, whether or not anything listens there. */
export type PortForward = {
  protocol: 'tcp' | 'udp';
  /** IPv4 address of the host; 0.0.0.0 for all. */
  hostAddress: string;
  hostPort: number;
  guestPort: number;
};

/** Why a VM is paused or suspended. */
export type VmSleep = {
  /** RFC 3339. */
  since: string;
  /** `idle`: nobody used it, and every use wakes it. `asked`: by a command, and only a command wakes it. */
  why: 'idle' | 'asked';
  /** The TCP ports of the guest that the host listens on in its stead, so that a connection can wake it. */
  ports: readonly { guestPort: number; hostPort: number }[];
};

/** A VM as the store keeps it. */
export type Vm = {
  /** 32 lower-case hex digits. */
  id: string;
  /** DNS label. */
  name: string;
  state: VmState;
  imageId: string;
  imageName: string;
  spec: VmSpec;
  /** The number from which addresses are derived (model/network.ts); unique among existing VMs. */
  networkIndex: number;
  /** Labels that people and scripts set. */
  labels: Readonly<Record<string, string>>;
  /** In the order in which the user added them. */
  forwards: readonly PortForward[];
  /** RFC 3339. */
  createdAt: string;
  startedAt: string | null;
  lastUsedAt: string | null;
  runtime: VmRuntime | null;
  /** Only while it is paused or suspended, or about to be. */
  sleep: VmSleep | null;
  /** Keeps it from being paused or suspended for idleness: until then (RFC 3339), or for ever (null). */
  keepAwake: { until: string | null } | null;
  /** SSH host public key ("ssh-ed25519 AAAA…") that banger gave to the guest. */
  sshHostKey: string | null;
  /** Why the state is `error`, or what is wrong with a VM that runs; for people. */
  lastError: string | null;
};

/** What the record of a VM says that has never run. */
export const NEVER_RUN = {
  startedAt: null,
  lastUsedAt: null,
  runtime: null,
  sleep: null,
  keepAwake: null,
  sshHostKey: null,
  lastError: null,
  forwards: [],
  labels: {},
} satisfies Partial<Vm>;

/** Prefix of names of host resources; the VM's short id follows. */
export const HOST_NAME_PREFIX = 'bgr-';

/** @returns the 8 hex digits in names of host resources: `bgr-<8 hex>` */
export function shortId(vm: { id: string }): string {
  return vm.id.slice(0, 8);
}
