/** A dnsmasq that takes nothing from this machine: no resolvers, no hosts, no user of its own, loopback alone. */
export const DNSMASQ_ALONE: readonly string[] = [
  '--keep-in-foreground',
  '--no-resolv',
  '--no-hosts',
  '--listen-address=127.0.0.1',
  '--bind-interfaces',
  '--user=',
  '--group=',
];
