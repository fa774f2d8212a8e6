import { Resolver } from 'node:dns/promises';
import { createDnsServer, type DnsServer } from '../dns/server.ts';
import type { FrontPorts, HttpFront, Look } from '../http/front.ts';
import { messageOf } from '../lib/message-of.ts';

/** `.vm` names; changes take effect from the next query on. */
export type NamePort = {
  /** Settles once the name works everywhere. */
  set(name: string, address: string): Promise<void>;
  remove(name: string): void;
  /** What of the VM at this address is reachable by name alone. */
  setPorts(address: string, ports: readonly ReachablePort[]): void;
  /** Asks like a program. @returns the answer; undefined if names are not served at all */
  ask(name: string): Promise<{ address: string | null } | undefined>;
};

/** A TCP port of a guest, and the host's port that leads to it. */
export type ReachablePort = { guestPort: number; hostPort: number };

export type Listening = { listening: boolean; problem: string | null };

/** The names of running VMs, served by DNS and HTTP. The daemon works without either if its port is taken. */
export type Names = NamePort & {
  /** @param look returns the state of VMs that do not run */
  start(look: Look): Promise<void>;
  stop(): Promise<void>;
  state(): { dns: Listening; http: Listening };
  /** @returns the ports on which the HTTP front serves the VM of this address by name */
  httpPortsOf(address: string): FrontPorts;
};

const ASK_TIMEOUT_MS = 1000;

/** How soon to try again for a port that was taken. */
const RETRY_MS = 10_000;

/** @param front undefined if it is switched off */
type NamesSettings = { enabled: boolean; address: string; port: number };
type Log = Record<'info' | 'warn' | 'error', (facts: Record<string, unknown>, message: string) => void>;

export function createNames(config: NamesSettings, front: HttpFront | undefined, log: Log): Names {
  const records = new Map<string, string>();
  let server: DnsServer | undefined;
  const publish = (): void => server?.setRecords(new Map(records));
  const dns = createKeeper(
    config.enabled ? undefined : 'switched off in config.toml (dns.enabled)',
    '.vm names are not answered',
    log,
    async () => {
      server = await createDnsServer({ ...config, log: (level, message, facts) => log[level](facts, message) });
      publish();
    },
  );
  let look: Look = () => 'unknown';
  const off = front === undefined ? 'switched off in config.toml (http.enabled)' : undefined;
  const http = createKeeper(off, 'HTTP is not answered by name', log, () => front?.start(look) ?? Promise.resolve());
  return {
    async set(name, address) {
      records.set(name, address);
      publish();
      await front?.open(name, address);
    },
    remove(name) {
      records.delete(name);
      publish();
      front?.close(name);
    },
    setPorts: (address, ports) => front?.setPorts(address, ports),
    async start(given) {
      look = given;
      await Promise.all([dns.start(), http.start()]);
    },
    async stop() {
      dns.stop();
      http.stop();
      await Promise.all([server?.close(), front?.stop()]);
    },
    async ask(name) {
      if (server === undefined) return undefined;
      const resolver = new Resolver({ timeout: ASK_TIMEOUT_MS, tries: 1 });
      const { address, port } = config;
      resolver.setServers([address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`]);
      const addresses = await resolver.resolve4(`${name}.vm`).catch(() => []);
      return { address: addresses[0] ?? null };
    },
    state: () => ({ dns: dns.state(), http: http.state() }),
    httpPortsOf: (address) => front?.portsOf(address) ?? { name: null, localhost: null },
  };
}

/** Starts a service that needs a port, and retries while the port is taken. @param off the reason not to start it */
function createKeeper(off: string | undefined, complaint: string, log: Log, start: () => Promise<void>) {
  let problem: string | null = off ?? null;
  let listening = false;
  let retry: NodeJS.Timeout | undefined;
  const keeper = {
    async start(): Promise<void> {
      if (off !== undefined || listening) return;
      try {
        await start();
        listening = true;
        problem = null;
      } catch (error) {
        const reason = messageOf(error);
        if (reason !== problem) log.warn({ problem: reason }, complaint);
        problem = reason;
        retry = setTimeout(() => void keeper.start(), RETRY_MS).unref();
      }
    },
    stop: (): void => clearTimeout(retry),
    state: (): Listening => ({ listening, problem }),
  };
  return keeper;
}
