import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { BRIDGE_ADDRESS, DNS_FORWARD_ADDRESS, GUEST_PREFIX_LENGTH } from '../../../model/network.ts';
import type { HolderInfo } from '../control-client.ts';
import { cancelled } from '../cancelled.ts';
import { createForwarder, type Forwarder, type Share } from '../forwarder-process.ts';
import { baseRuleset } from './ruleset.ts';
import { given } from '../../../lib/given.ts';

/** A busy host is slow to load the modules that the rules need. */
const RULES_TIMEOUT_MS = 60_000;

/** Its control socket is `NAME.sock` in the runtime directory. */
export const HOLDER_NAME = 'network';

type HolderOptions = { host: Host; forwarderPath: string; directory: string; share: Share };

/** The process that owns the namespace; `ensure` also applies the base rules. */
export type Holder = Forwarder & {
  /** Applies nftables commands inside. @throws NETWORK_FAILED, PREREQUISITE_MISSING, CANCELLED */
  nft(innerPid: number, commands: string, signal?: AbortSignal): Promise<void>;
  /** @returns the set of admitted guests as JSON */
  listGuests(innerPid: number): Promise<string>;
};

/** Makes the handle; touches nothing yet. */
export function createHolder({ host, forwarderPath, directory, share }: HolderOptions): Holder {
  let rulesAppliedIn = 0;

  const nft = async (innerPid: number, args: readonly string[], input?: string, signal?: AbortSignal): Promise<string> => {
    const argv = [forwarderPath, 'enter-admin', String(innerPid), 'nft', ...args];
    try {
      const outcome = await host.run(argv, {
        timeoutMs: RULES_TIMEOUT_MS,
        ...given({ input, signal }),
      });
      return outcome.stdout;
    } catch (error) {
      if (signal?.aborted === true) throw cancelled(error);
      const why = error instanceof Error ? `: ${error.message}` : '';
      throw new BangerError('NETWORK_FAILED', `the network rules could not be set${why}`, { remedy: 'banger doctor', cause: error });
    }
  };

  const apply = (innerPid: number, commands: string, signal?: AbortSignal): Promise<void> =>
    nft(innerPid, ['-f', '-'], commands, signal).then(() => undefined);

  /** A killed daemon may have left a holder without them. */
  const applyBaseRules = async (innerPid: number, signal?: AbortSignal): Promise<void> => {
    if (rulesAppliedIn === innerPid) return;
    await apply(innerPid, baseRuleset(), signal);
    rulesAppliedIn = innerPid;
  };

  const forwarder = createForwarder({
    ...{ host, program: forwarderPath, directory, share, name: HOLDER_NAME },
    argumentsOf: (socketPath) => ['serve', socketPath, BRIDGE_ADDRESS, String(GUEST_PREFIX_LENGTH), DNS_FORWARD_ADDRESS],
    prepare: ({ innerPid }: HolderInfo) => applyBaseRules(innerPid),
  });

  return {
    ...forwarder,
    nft: async (innerPid, commands, signal) => {
      await applyBaseRules(innerPid, signal);
      await apply(innerPid, commands, signal);
    },
    listGuests: async (innerPid) => {
      await applyBaseRules(innerPid);
      return nft(innerPid, ['-j', 'list', 'set', 'bridge', 'banger', 'guests']);
    },
    end: async () => {
      await forwarder.end();
      rulesAppliedIn = 0;
    },
  };
}
