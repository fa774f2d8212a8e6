import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const LISTEN = '0A';

/**
 * @returns the IPv4 addresses at both ends of all TCP connections of this network namespace. A closed connection counts for another minute
 * on the side that closed it (TIME_WAIT).
 */
export async function connectedAddresses(): Promise<Set<string>> {
  return parseConnections(await readFile('/proc/net/tcp', 'latin1'));
}

/** @param table text of /proc/net/tcp (Documentation/networking/proc_net_tcp.rst); addresses are in the host's byte order */
export function parseConnections(table: string): Set<string> {
  const addresses = new Set<string>();
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/);
    if (state === LISTEN) continue;
    for (const end of [local, remote]) if (/^[0-9A-F]{8}:/.test(end)) addresses.add(dotted(end.slice(0, 8)));
  }
  return addresses;
}

/** @returns the IPv4 addresses on which a program of another user listens for TCP. All users share loopback: the first one gets a port. */
export function listenedByOthers(): Set<string> {
  return parseListeners(readFileSync('/proc/net/tcp', 'latin1'), process.getuid?.() ?? 0);
}

/** @param table as above @param ownUid the user whose listeners do not count */
export function parseListeners(table: string, ownUid: number): Set<string> {
  const addresses = new Set<string>();
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state, , , , uid] = line.trim().split(/\s+/);
    if (state === LISTEN && Number(uid) !== ownUid) addresses.add(dotted(local.slice(0, 8)));
  }
  return addresses;
}

/** @param hex eight digits, the form in which a little-endian machine prints an address in network order */
function dotted(hex: string): string {
  return (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .toReversed()
    .join('.');
}
