import type { UserPort } from '../contract.ts';

/** Protocol, descriptor, address and port of the host, address and port of the guest (slirp_connection_info of libslirp). */
const HOST_FORWARD = /^\s*(TCP|UDP)\[HOST_FORWARD\]\s+-?\d+\s+(\S+)\s+(\d+)\s+\S+\s+(\d+)\s/gm;

/** @returns the forwards in the monitor's reply to `info usernet`, which also lists connections */
export function parseUserPorts(text: string): UserPort[] {
  return [...text.matchAll(HOST_FORWARD)].map(([, protocol, address = '', hostPort, guestPort]) => ({
    protocol: protocol === 'TCP' ? 'tcp' : 'udp',
    hostAddress: address === '*' ? '0.0.0.0' : address,
    hostPort: Number(hostPort),
    guestPort: Number(guestPort),
  }));
}
