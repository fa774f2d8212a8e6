import type { PortListener } from '../../model/forward-ports.ts';
import type { VmAddresses } from '../../model/network.ts';
import type { DriverChecks } from '../../model/finding.ts';
import type { Machine, MachineNetwork } from '../hypervisor/contract.ts';

/**
 * A network driver connects VMs with each other, with the outside and with the host.
 *
 * Order: `ensure` (idempotent, also after a restart of the daemon: it keeps what lives and makes what died) → per VM `attach` →
 * `setForwards` as often as needed → `detach`. `attach` either returns an attachment or leaves nothing behind. `detach` is idempotent and
 * tolerates missing pieces. Calls for different VMs may run at the same time. Everything that is made for a VM carries its short id, and
 * `sweep` removes what belongs to no VM in the list.
 */
export type NetworkDriver = {
  readonly name: string;
  /** The kind of all its attachments: a VMM accepts it or not. */
  readonly kind: MachineNetwork['kind'];
  /** What this host can do with this driver; leaves nothing behind. */
  checks(): Promise<DriverChecks>;
  /** @throws NETWORK_FAILED, PREREQUISITE_MISSING */
  ensure(signal: AbortSignal): Promise<void>;
  attach(vm: NetworkVm, signal: AbortSignal): Promise<NetworkAttachment>;
  detach(vm: Pick<NetworkVm, 'shortId' | 'addresses'>): Promise<void>;
  /**
   * Only for networks that can end while a VM runs: whether everything that `attach` made for the VM still exists. What is gone only comes
   * back at the VM's next start.
   */
  isAttached?(vm: Pick<NetworkVm, 'shortId' | 'addresses'>): Promise<boolean>;
  /** @returns where programs on the host reach a VM's ports; the VM's `.vm` name resolves to it */
  addressOnHost(addresses: VmAddresses): string;
  /** Gives a running VM access to the outside, or takes it; repeatable. @returns the configuration for the guest */
  setNat?(vm: NetworkVm): Promise<GuestNetworkConfig>;
  /**
   * Makes other guests resolve NAME.vm to this one; undefined removes the name. Repeatable. Absent: guests get the answer of the host's
   * resolver.
   */
  nameGuest?(vm: Pick<NetworkVm, 'addresses'>, name: string | undefined): Promise<void>;
  /**
   * Makes exactly these guest listeners reachable, at the VM's address on the host or where `at` says; returns which could not be bound and
   * why.
   */
  setForwards(vm: NetworkVm, listeners: readonly GuestListener[], machine: Machine): Promise<ForwardResult[]>;
  /**
   * Tries whether a port can be forwarded from `at`, and leaves nothing behind. @returns why not. Absent: this network forwards nothing.
   */
  probeForward?(vm: NetworkVm, listener: Required<GuestListener>): Promise<string | undefined>;
  /** Removes objects of VMs that are not in the list; with an empty list, also the namespace and its helpers. */
  sweep(alive: readonly Pick<NetworkVm, 'shortId' | 'addresses'>[]): Promise<void>;
};

export type NetworkVm = { shortId: string; addresses: VmAddresses; nat: boolean };

export type NetworkAttachment = {
  network: MachineNetwork;
  /** argv that enters the namespace and execs; empty if the VMM runs in the host's. */
  commandPrefix: readonly string[];
  /** A process in that namespace. */
  networkPid?: number;
  /** The guest agent sets it in the guest. */
  guest: GuestNetworkConfig;
};

export type GuestNetworkConfig = {
  address: string;
  prefixLength: number;
  gateway: string | null;
  nameservers: string[];
  mtu: number;
};

export type GuestListener = PortListener;
export type ForwardResult = GuestListener & {
  hostAddress: string;
  /** The port on the host; differs from `port` if a low port cannot be bound without root. */
  hostPort: number | null;
  /** Why hostPort is null. */
  problem?: string;
};
