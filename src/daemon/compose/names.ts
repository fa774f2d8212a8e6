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

export function createNames(config: Config['dns'], log: Log): Names {
  const records = new Map<string, string>();
  let server: DnsServer | undefined;
  let problem: string | null = config.enabled ? null : 'switched off in config.toml (dns.enabled)';
  const publish = (): void => server?.setRecords(new Map(records));
  return {
    set(name, address) {
      records.set(name, address);
      publish();
    },
    remove(name) {
      records.delete(name);
      publish();
    },
    async start() {
      if (!config.enabled) return;
      try {
        server = await createDnsServer({ ...config, log: (level, message, facts) => log[level](facts, message) });
        publish();
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
        log.warn({ problem }, '.vm names are not answered');
      }
    },
    stop: async () => server?.close(),
    state: () => ({ listening: server !== undefined, problem }),
  };
}
