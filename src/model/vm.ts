import type { AllSettings } from './settings/all.ts';
import type { SpecOf } from './settings/setting.ts';
import type { VmState } from './vm-state.ts';

/** What the user asked for, with all that has a default filled in; a member for each setting. */
export type VmSpec = SpecOf<AllSettings>;

/** A process, safe against pid reuse: the start time is field 22 of /proc/PID/stat, in clock ticks since boot. */
export type ProcessIdentity = { pid: number; startTicks: number };

/** Something of a VM that runs which is not as it should be; for people. */
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
  /** Whether it runs a rescue system beside its disks in place of its own. */
  rescue?: boolean;
  /** What could not be set up when it started. */
  troubles?: readonly VmTrouble[];
  /** The guest's own address; differs from the planned one in QEMU's user network. */
  guestAddress?: string;
};

/** A port of the host that leads to one of the guest because the user said so, whether or not anybody listens there. */
export type PortForward = {
  protocol: 'tcp' | 'udp';
  /** IPv4 address of the host; 0.0.0.0 for all. */
  hostAddress: string;
  hostPort: number;
  guestPort: number;
};

/** One VM as the store keeps it. */
export type Vm = {
  /** 32 lower-case hex digits. */
  id: string;
  /** DNS label. */
  name: string;
  state: VmState;
  imageId: string;
  imageName: string;
  spec: VmSpec;
  /** Number from which addresses are derived (model/network.ts); unique among existing VMs. */
  networkIndex: number;
  /** What people and scripts noted about it. */
  labels: Readonly<Record<string, string>>;
  /** In the order in which they were asked for. */
  forwards: readonly PortForward[];
  /** RFC 3339. */
  createdAt: string;
  startedAt: string | null;
  lastUsedAt: string | null;
  runtime: VmRuntime | null;
  /** SSH host public key ("ssh-ed25519 AAAA…") that was given to the guest. */
  sshHostKey: string | null;
  /** Why the state is `error`, for people. */
  lastError: string | null;
};

/** Names of host resources begin with it; the VM's short id follows. */
export const HOST_NAME_PREFIX = 'bgr-';

/** @returns the 8 hex digits that names of host resources carry: `bgr-<8 hex>`. */
export function shortId(vm: { id: string }): string {
  return vm.id.slice(0, 8);
}
