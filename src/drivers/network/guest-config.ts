import { BRIDGE_ADDRESS, DNS_FORWARD_ADDRESS, GUEST_MTU, GUEST_PREFIX_LENGTH } from '../../model/network.ts';
import type { GuestNetworkConfig, NetworkVm } from './contract.ts';

/** @returns the network configuration of a guest whose link ends at a bridge of banger */
export function guestConfigOf({ addresses, nat }: NetworkVm): GuestNetworkConfig {
  return {
    address: addresses.guestAddress,
    prefixLength: GUEST_PREFIX_LENGTH,
    gateway: nat ? BRIDGE_ADDRESS : null,
    nameservers: nat ? [DNS_FORWARD_ADDRESS] : [],
    mtu: GUEST_MTU,
  };
}
