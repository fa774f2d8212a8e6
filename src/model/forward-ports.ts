/** Ports below this need root on most hosts. */
const FIRST_FREE_PORT = 1024;
const FRIENDLY_PORTS: Readonly<Record<number, number>> = { 80: 8080, 443: 8443 };

export type PortListener = {
  protocol: 'tcp' | 'udp';
  port: number;
  /** The address and port of the host that the user asked for; absent for a listener that is forwarded automatically. */
  at?: { address: string; port: number } | undefined;
};

/** @returns whether the host may refuse the port to an ordinary user, so that `fallbackPort` is worth a try */
export function isLowPort(port: number): boolean {
  return port < FIRST_FREE_PORT;
}

/**
 * The host port that replaces a low guest port: 80 → 8080, 443 → 8443, else 10000 + port. If the guest itself listens on that number, the
 * next free one.
 * @param used host ports of the same protocol and address that are taken or requested
 */
export function fallbackPort(port: number, used: ReadonlySet<number>): number {
  let candidate = FRIENDLY_PORTS[port] ?? 10_000 + port;
  while (used.has(candidate)) candidate = candidate === 65_535 ? FIRST_FREE_PORT : candidate + 1;
  return candidate;
}

/** @returns a key that is the same for the same protocol, port and address on the host */
export function portKey({ protocol, port, at }: PortListener): string {
  return at === undefined ? `${protocol}/${port}` : `${protocol}/${port}@${at.address}:${at.port}`;
}
