// Finds the resolver of this machine that must ask banger for names under .vm, and its configuration. Only reads; resolver-steps.ts writes.
import { BangerError } from '../model/errors.ts';
import type { SetupMachine } from './machine.ts';

export type ResolverKind = 'systemd-resolved' | 'networkmanager' | 'dnsmasq';
export const RESOLVER_KINDS: readonly ResolverKind[] = ['systemd-resolved', 'networkmanager', 'dnsmasq'];

/** A resolver that can ask another server for one domain. */
export type Resolver = {
  /** A file of banger's own, which the resolver reads in addition to its others. */
  file: string;
  content(server: ServerAddress): string;
  /** Makes it read the file; run after the file was added, changed or removed. */
  reload: readonly string[];
};

/** Where banger answers for .vm. */
export type ServerAddress = { address: string; port: number };

const HEADER = '# Written by `banger dns setup`; `banger dns remove` removes it.';
/** The loopback addresses of VMs, model/network.ts. */
const REVERSE_NETWORK = '127.213.0.0/16';

const dnsmasqLines = ({ address, port }: ServerAddress): string =>
  // The last line lets names resolve to loopback if stop-dns-rebind is set (dnsmasq(8)).
  [HEADER, `server=/vm/${address}#${port}`, `rev-server=${REVERSE_NETWORK},${address}#${port}`, 'rebind-domain-ok=/vm/', ''].join('\n');

export const RESOLVERS: Readonly<Record<ResolverKind, Resolver>> = {
  'systemd-resolved': {
    file: '/etc/systemd/resolved.conf.d/banger.conf',
    // `~` makes the server one for this domain only (resolved.conf(5)); systemd 246 and later accept the port. systemd-resolved itself
    // answers reverse lookups in 127.0.0.0/8, with localhost.
    content: ({ address, port }) =>
      [HEADER, '[Resolve]', `DNS=${address.includes(':') ? `[${address}]` : address}:${port}`, 'Domains=~vm', ''].join('\n'),
    reload: ['systemctl', 'restart', 'systemd-resolved.service'],
  },
  networkmanager: {
    file: '/etc/NetworkManager/dnsmasq.d/banger.conf',
    content: dnsmasqLines,
    // Only this restarts NetworkManager's own dnsmasq (nmcli(1), general reload).
    reload: ['nmcli', 'general', 'reload', 'dns-full'],
  },
  dnsmasq: { file: '/etc/dnsmasq.d/banger.conf', content: dnsmasqLines, reload: ['systemctl', 'restart', 'dnsmasq.service'] },
};

/** How this machine resolves names. */
export type FoundResolver = { kind: ResolverKind | 'none'; because: string };

/** @returns the resolver that programs of this machine ask, if it is configurable */
export async function findResolver(machine: SetupMachine): Promise<FoundResolver> {
  const servers = nameservers((await machine.read('/etc/resolv.conf')) ?? '');
  const switches = /^hosts:.*\bresolve\b/m.test((await machine.read('/etc/nsswitch.conf')) ?? '');
  const asksResolved = servers.some((server) => server === '127.0.0.53' || server === '127.0.0.54');
  if (await machine.exists('/run/systemd/resolve')) {
    if (asksResolved) return { kind: 'systemd-resolved', because: '/etc/resolv.conf names its stub, 127.0.0.53' };
    if (switches) return { kind: 'systemd-resolved', because: '/etc/nsswitch.conf asks it first' };
  }
  const isLoopback = servers.some((server) => server.startsWith('127.') || server === '::1');
  if (isLoopback && (await networkManagerHasDnsmasq(machine)))
    return { kind: 'networkmanager', because: 'NetworkManager runs its own dnsmasq' };
  if (isLoopback && (await machine.exists('/etc/dnsmasq.d')))
    return { kind: 'dnsmasq', because: '/etc/resolv.conf names a resolver on loopback, and dnsmasq is installed' };
  const named = servers.length === 0 ? 'names no server' : `names ${servers.join(', ')}`;
  return { kind: 'none', because: `/etc/resolv.conf ${named}; it cannot send one domain elsewhere` };
}

async function networkManagerHasDnsmasq(machine: SetupMachine): Promise<boolean> {
  if (!(await machine.exists('/run/NetworkManager'))) return false;
  const folders = ['/etc/NetworkManager/conf.d', '/usr/lib/NetworkManager/conf.d'];
  const files = await Promise.all(folders.map(async (folder) => (await machine.names(folder)).map((name) => `${folder}/${name}`)));
  for (const file of ['/etc/NetworkManager/NetworkManager.conf', ...files.flat()]) {
    if (/^\s*dns\s*=\s*dnsmasq\s*$/m.test((await machine.read(file)) ?? '')) return true;
  }
  return false;
}

function nameservers(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server);
}

/** @returns the resolvers that have been set up, and whether for this server */
export async function installedResolvers(
  machine: SetupMachine,
  server: ServerAddress,
): Promise<{ kind: ResolverKind; isCurrent: boolean }[]> {
  const found: { kind: ResolverKind; isCurrent: boolean }[] = [];
  for (const kind of RESOLVER_KINDS) {
    const text = await machine.read(RESOLVERS[kind].file);
    if (text?.startsWith(HEADER) === true) found.push({ kind, isCurrent: text === RESOLVERS[kind].content(server) });
  }
  return found;
}

/**
 * systemd-resolved asks each of its global servers about every global domain, so banger's and another server would mix.
 * @throws WRONG_STATE with the file; also for a foreign file at banger's path
 */
export async function refuseConflicts(machine: SetupMachine, kind: ResolverKind): Promise<void> {
  const { file } = RESOLVERS[kind];
  const present = await machine.read(file);
  if (present !== undefined && !present.startsWith(HEADER)) {
    throw new BangerError('WRONG_STATE', `${file} exists, and banger did not write it`, {
      remedy: `sudo mv ${file} ${file}.before`,
    });
  }
  if (kind !== 'systemd-resolved') return;
  const folder = '/etc/systemd/resolved.conf.d';
  const others = (await machine.names(folder)).filter((name) => name.endsWith('.conf')).map((name) => `${folder}/${name}`);
  for (const other of ['/etc/systemd/resolved.conf', ...others]) {
    if (other === file || !/^\s*DNS\s*=\s*\S/m.test((await machine.read(other)) ?? '')) continue;
    throw new BangerError('WRONG_STATE', `${other} sets DNS= for all links; resolved would mix those servers with banger's`, {
      remedy: `set those servers on the connection instead (networkctl, nmcli), and remove DNS= from ${other}`,
    });
  }
}

/** @returns what a user can do if no resolver is configurable */
export function adviceWithoutResolver({ address, port }: ServerAddress): string[] {
  return [
    'Nothing can be set up: a plain /etc/resolv.conf sends every name to the same servers. Any of these helps:',
    '  sudo apt-get install systemd-resolved    then: banger dns setup',
    `  sudo apt-get install dnsmasq             with "nameserver 127.0.0.1" in /etc/resolv.conf, then: banger dns setup --for dnsmasq`,
    `  dig -p ${port} @${address} NAME.vm            or any program that can be given a server and a port`,
    '  banger vm ports NAME                     shows addresses, which need no name server',
  ];
}
