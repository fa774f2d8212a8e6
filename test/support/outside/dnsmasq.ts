/** A dnsmasq that uses nothing of this machine: no resolvers, no hosts file, no account, only loopback. */
export const DNSMASQ_ALONE: readonly string[] = [
  '--keep-in-foreground',
  '--no-resolv',
  '--no-hosts',
  '--listen-address=127.0.0.1',
  '--bind-interfaces',
  '--user=',
  '--group=',
];
