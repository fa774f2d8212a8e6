import { Resolver } from 'node:dns/promises';
import { createDnsServer, type DnsServer } from '../../dns/server.ts';
import type { NamePort } from '../../lifecycle/services.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';

/** The names of running VMs and the server that answers for them. The daemon works without it when its port is taken. */
export type Names = NamePort & {
  start(): Promise<void>;
  stop(): Promise<void>;
  state(): { listening: boolean; problem: string | null };
};

const ASK_TIMEOUT_MS = 1000;

/** How soon a port that was taken is tried again. */
const RETRY_MS = 10_000;

export function createNames(config: Config['dns'], log: Log): Names {
  const records = new Map<string, string>();
  let server: DnsServer | undefined;
  let retry: NodeJS.Timeout | undefined;
  let problem: string | null = config.enabled ? null : 'switched off in config.toml (dns.enabled)';
  const publish = (): void => server?.setRecords(new Map(records));
  const names: Names = {
    set(name, address) {
      records.set(name, address);
      publish();
    },
    setPorts: () => undefined,
    remove(name) {
      records.delete(name);
      publish();
    },
    async start() {
      if (!config.enabled || server !== undefined) return;
      try {
        server = await createDnsServer({ ...config, log: (level, message, facts) => log[level](facts, message) });
        problem = null;
        publish();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== problem) log.warn({ problem: reason }, '.vm names are not answered');
        problem = reason;
        retry = setTimeout(() => void names.start(), RETRY_MS).unref();
      }
    },
    async stop() {
      clearTimeout(retry);
      await server?.close();
    },
    async ask(name) {
      if (server === undefined) return undefined;
      const resolver = new Resolver({ timeout: ASK_TIMEOUT_MS, tries: 1 });
      resolver.setServers([config.address.includes(':') ? `[${config.address}]:${config.port}` : `${config.address}:${config.port}`]);
      const addresses = await resolver.resolve4(`${name}.vm`).catch(() => []);
      return { address: addresses[0] ?? null };
    },
    state: () => ({ listening: server !== undefined, problem }),
  };
  return names;
}
