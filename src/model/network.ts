import { BangerError } from './errors.ts';

/** Guests have addresses in 10.213.0.0/16 inside banger's namespace; the bridge has the first one. */
export const GUEST_PREFIX_LENGTH = 16;
export const BRIDGE_ADDRESS = '10.213.0.1';
/** Guests send DNS questions here, and the forwarder asks the host's resolver. It is outside their subnet, so that guests route to it. */
export const DNS_FORWARD_ADDRESS = '169.254.213.53';
/** The MTU of guests, TAPs and the bridge. */
export const GUEST_MTU = 1500;
/** Loopback addresses of VMs on the host start in 127.213.0.0/16. */
export const LOOPBACK_PREFIX = '127.213';
export const GUEST_PREFIX = '10.213';
/** 02: locally administered, unicast. */
export const MAC_PREFIX = '02:62:67';
/** The bridge in the host's own namespace, which the root helper makes. */
export const HOST_BRIDGE = 'bgr-bridge';
/** Names in the private network's namespace, and the port and mark with which its rules redirect guests' connections. */
export const PRIVATE_NETWORK = { bridge: 'br0', uplink: 'uplink0', outboundPort: 1, outboundMark: 1 } as const;
/**
 * Addresses that are never reachable from a guest: this network, loopback, link-local (169.254.169.254 is a cloud's metadata service; an
 * earlier rule permits the DNS forwarder), multicast and reserved.
 */
export const FORBIDDEN_DESTINATIONS = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'] as const;
/** Indexes 0 and 1 are the network and the bridge; 255.x stays free for services. */
export const FIRST_NETWORK_INDEX = 2;
export const LAST_NETWORK_INDEX = 254 * 256 + 255;

export type VmAddresses = {
  /** In the guest network, with no prefix length. */
  guestAddress: string;
  /** On the host; `<name>.vm` resolves to it. */
  loopbackAddress: string;
  macAddress: string;
};

/**
 * Derives every address of a VM from its number, so that no address needs a record, and none can clash.
 * @param index VM number, FIRST_NETWORK_INDEX..LAST_NETWORK_INDEX
 */
export function addressesOf(index: number): VmAddresses {
  if (!Number.isInteger(index) || index < FIRST_NETWORK_INDEX || index > LAST_NETWORK_INDEX) {
    throw new BangerError('INTERNAL', `network index ${index} is out of range`);
  }
  const high = index >> 8;
  const low = index & 255;
  const hex = (n: number): string => n.toString(16).padStart(2, '0');
  return {
    guestAddress: `${GUEST_PREFIX}.${high}.${low}`,
    loopbackAddress: `${LOOPBACK_PREFIX}.${high}.${low}`,
    macAddress: `${MAC_PREFIX}:00:${hex(high)}:${hex(low)}`,
  };
}

/** @returns whether a loopback address of the host belongs to the range of VMs */
export function isVmLoopback(address: string): boolean {
  return address.startsWith(`${LOOPBACK_PREFIX}.`);
}

/** @returns the number from which the addresses were derived */
export function networkIndexOf({ guestAddress }: Pick<VmAddresses, 'guestAddress'>): number {
  const [high = 0, low = 0] = guestAddress.split('.').slice(2).map(Number);
  return high * 256 + low;
}

/** Installations begin at multiples of this, so that neighbours have room before they collide. */
const PLACE_SIZE = 16;

/**
 * Where an installation begins to number its VMs. All users of a host share loopback and the bridge, and two installations that both began
 * at the first number would collide at every address.
 * @param seed any number of the installation, for example from a hash
 */
export function placeOfInstallation(seed: number): number {
  const places = Math.floor((LAST_NETWORK_INDEX + 1) / PLACE_SIZE);
  return Math.max(FIRST_NETWORK_INDEX, (Math.abs(Math.trunc(seed)) % places) * PLACE_SIZE);
}

/**
 * @param taken numbers of this installation's VMs
 * @param first where to begin, FIRST_NETWORK_INDEX..LAST_NETWORK_INDEX
 * @returns the next free index from `first` on, wrapping around. @throws NETWORK_FAILED if every address is taken
 */
export function allocateNetworkIndex(taken: ReadonlySet<number>, first = FIRST_NETWORK_INDEX): number {
  const count = LAST_NETWORK_INDEX - FIRST_NETWORK_INDEX + 1;
  for (let offset = 0; offset < count; offset++) {
    const index = FIRST_NETWORK_INDEX + ((first - FIRST_NETWORK_INDEX + offset) % count);
    if (!taken.has(index)) return index;
  }
  throw new BangerError('NETWORK_FAILED', 'every VM address is taken', { remedy: 'banger vm delete NAME' });
}
