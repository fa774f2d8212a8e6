import { BangerError } from './errors.ts';

/** Guests live in 10.213.0.0/16 inside banger's namespace; the bridge has the first address. */
export const GUEST_PREFIX_LENGTH = 16;
export const BRIDGE_ADDRESS = '10.213.0.1';
/** Guests ask for names here, and the forwarder asks the host's resolver; outside their own subnet, so that guests route to it. */
export const DNS_FORWARD_ADDRESS = '169.254.213.53';
/** What guests, TAPs and the bridge use. */
export const GUEST_MTU = 1500;
/** Loopback addresses of VMs on the host start in 127.213.0.0/16. */
export const LOOPBACK_PREFIX = '127.213';
export const GUEST_PREFIX = '10.213';
/** 02: locally administered, unicast. */
export const MAC_PREFIX = '02:62:67';
/** The bridge of the host itself, which the root helper makes. */
export const HOST_BRIDGE = 'bgr-bridge';
/** Names in the private network's own namespace, and how its rules hand on what guests open: to this port, marked so. */
export const PRIVATE_NETWORK = { bridge: 'br0', uplink: 'uplink0', outboundPort: 1, outboundMark: 1 } as const;
/**
 * Never a way out for a guest: this network, loopback, link-local (169.254.169.254 is a cloud's metadata service; the DNS forwarder
 * is allowed before), multicast and reserved.
 */
export const FORBIDDEN_DESTINATIONS = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'] as const;
/** Indexes 0 and 1 are the network and the bridge; 255.x stays free for services. */
export const FIRST_NETWORK_INDEX = 2;
export const LAST_NETWORK_INDEX = 254 * 256 + 255;

export type VmAddresses = {
  /** In the guest network, with no prefix length. */
  guestAddress: string;
  /** On the host; what `<name>.vm` resolves to. */
  loopbackAddress: string;
  macAddress: string;
};

/**
 * Derives every address of a VM from its number, so that none needs a record or can clash.
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

/** @returns whether an address of the host's loopback is one that VMs have. */
export function isVmLoopback(address: string): boolean {
  return address.startsWith(`${LOOPBACK_PREFIX}.`);
}

/** @returns the number that the addresses were derived from. */
export function networkIndexOf({ guestAddress }: Pick<VmAddresses, 'guestAddress'>): number {
  const [high = 0, low = 0] = guestAddress.split('.').slice(2).map(Number);
  return high * 256 + low;
}

/** Installations begin at multiples of this, so that neighbours have room before they meet. */
const PLACE_SIZE = 16;

/**
 * Where an installation begins to number its VMs: loopback is shared by all users of a host, and so is the bridge, and two
 * installations that both began at the first number would meet at every address.
 * @param seed any number that belongs to the installation alone, for example of a hash
 */
export function placeOfInstallation(seed: number): number {
  const places = Math.floor((LAST_NETWORK_INDEX + 1) / PLACE_SIZE);
  return Math.max(FIRST_NETWORK_INDEX, (Math.abs(Math.trunc(seed)) % places) * PLACE_SIZE);
}

/**
 * @param taken numbers of this installation's VMs
 * @param first where to begin, FIRST_NETWORK_INDEX..LAST_NETWORK_INDEX
 * @returns the next free index from `first` on, around the end. @throws NETWORK_FAILED when every address is taken
 */
export function allocateNetworkIndex(taken: ReadonlySet<number>, first = FIRST_NETWORK_INDEX): number {
  const count = LAST_NETWORK_INDEX - FIRST_NETWORK_INDEX + 1;
  for (let offset = 0; offset < count; offset++) {
    const index = FIRST_NETWORK_INDEX + ((first - FIRST_NETWORK_INDEX + offset) % count);
    if (!taken.has(index)) return index;
  }
  throw new BangerError('NETWORK_FAILED', 'every VM address is taken', { remedy: 'banger vm delete NAME' });
}
