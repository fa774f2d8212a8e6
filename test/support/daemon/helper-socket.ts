import type { BridgeHelper } from '../../../src/drivers/network/bridge/helper-list.ts';
import { converseWithRoot } from '../../../src/lib/line-protocol.ts';
import { BangerError } from '../../../src/model/errors.ts';

/** @returns a client of the helper that listens there */
export function helperAt(socketPath: string): BridgeHelper {
  return {
    ask: async (request) => {
      const [reply] = await converseWithRoot(socketPath, [request], 20_000);
      if (reply?.ok === true) return reply.lines;
      throw new BangerError('NETWORK_FAILED', reply?.text ?? 'no answer', { details: { errno: reply?.errno } });
    },
  };
}
