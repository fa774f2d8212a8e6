import type { PortListener } from '../../model/forward-ports.ts';
import type { VmAddresses } from '../../model/network.ts';
import type { DriverChecks } from '../../model/finding.ts';
import type { Machine, MachineNetwork } from '../hypervisor/contract.ts';

/**
 * Joins VMs to each other, to the outside and to the host.
 *
 * Order: `ensure` (idempotent, also after a daemon restart: what lives is kept, what died is made again) → per VM
 * `attach` → `setForwards` as often as needed → `detach`. `attach` either returns an attachment or leaves nothing behind;
 * `detach` is idempotent and tolerates pieces already gone. Calls for different VMs may run at the same time.
 * Everything made for a VM carries its short id, and `sweep` removes what belongs to no VM in the list.
 */
export type NetworkDriver = {
  readonly name: string;
  /** Of every attachment it makes: a VMM takes it or not. */
  readonly kind: MachineNetwork['kind'];
  /** What this host can do with it; makes nothing that stays. */
  checks(): Promise<DriverChecks>;
  /** @throws NETWORK_FAILED, PREREQUISITE_MISSING */
  ensure(signal: AbortSignal): Promise<void>;
  attach(vm: NetworkVm, signal: AbortSignal): Promise<NetworkAttachment>;
  detach(vm: Pick<NetworkVm, 'shortId' | 'addresses'>): Promise<void>;
  /**
   * Only of networks that can end while a VM goes on: whether what `attach` made for it is there. What is gone comes back with the
   * next start of the VM alone.
   */
  isAttached?(vm: Pick<NetworkVm, 'shortId' | 'addresses'>): Promise<boolean>;
  /** @returns where programs on the host reach a VM's ports; what its `.vm` name says. */
  addressOnHost(addresses: VmAddresses): string;
  /** Gives a running VM the way to the outside, or takes it; repeatable. @returns what the guest is to be told of it */
  setNat?(vm: NetworkVm): Promise<GuestNetworkConfig>;
  /**
   * Tells other guests by which name, NAME.vm, they reach this one; undefined takes the name away. Repeatable.
   * Absent: guests hear of each other what the host's resolver says.
   */
  nameGuest?(vm: Pick<NetworkVm, 'addresses'>, name: string | undefined): Promise<void>;
  /**
   * Makes exactly these guest listeners reachable, at the VM's address on the host or where `at` says; returns what could not
   * be bound and why.
   */
  setForwards(vm: NetworkVm, listeners: readonly GuestListener[], machine: Machine): Promise<ForwardResult[]>;
  /** Tries whether a port can be forwarded from `at`, leaving nothing. @returns why not. Absent: this network forwards nothing. */
  probeForward?(vm: NetworkVm, listener: Required<GuestListener>): Promise<string | undefined>;
  /** Removes objects of VMs that are not in the list; with an empty list also the namespace and its helpers. */
  sweep(alive: readonly Pick<NetworkVm, 'shortId' | 'addresses'>[]): Promise<void>;
};

export type NetworkVm = { shortId: string; addresses: VmAddresses; nat: boolean };

export type NetworkAttachment = {
  network: MachineNetwork;
  /** argv that enters the namespace and execs; empty when the VMM runs in the host's. */
  commandPrefix: readonly string[];
  /** A process in that namespace. */
  networkPid?: number;
  /** What the agent sets in the guest. */
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
  /** The port on the host; differs from `port` where a low port cannot be bound without root. */
  hostPort: number | null;
  /** Why hostPort is null. */
  problem?: string;
};
