import { z } from 'zod';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { encodeRequest, exchangeHead, receiveBody, settleChannel } from './agent-exchange.ts';
import { parseReply } from './agent-replies.ts';

/** A busy host answers late now and then; of so many readings one was not disturbed. */
const READINGS = 6;
/** A round trip this short leaves nothing to gain. */
const GOOD_ROUND_TRIP_MS = 4;

const REQUEST = { method: 'GET', target: '/time' };

const timeReply = z.object({ unixMs: z.number().nonnegative(), synchronized: z.boolean() });

/** How a guest's clock stands to the host's. */
export type ClockReading = {
  /** The guest's time less the host's. */
  offsetMs: number;
  /** The offset may be off by so much: half of the round trip. */
  uncertaintyMs: number;
  /** An NTP program of the guest keeps it. */
  isKeptInside: boolean;
};

/**
 * Asks several times over one channel, and believes the answer that was under way the shortest.
 * @param now wall clock of the host, milliseconds
 * @returns undefined when the agent is of an image that cannot tell
 */
export async function readClock(channel: AgentChannel, now: () => number, signal: AbortSignal): Promise<ClockReading | undefined> {
  let best: ClockReading | undefined;
  for (let count = 0; count < READINGS && (best === undefined || best.uncertaintyMs > GOOD_ROUND_TRIP_MS / 2); count++) {
    const sentAt = performance.now();
    const reply = await exchangeHead(channel.stream, encodeRequest(REQUEST), signal);
    const body = await receiveBody(channel.stream, reply.head, reply.rest, signal);
    const uncertaintyMs = (performance.now() - sentAt) / 2;
    if (reply.head.status !== 200) {
      settleChannel(channel, reply.head);
      return undefined;
    }
    const { unixMs, synchronized } = parseReply(timeReply, body);
    const reading = { offsetMs: unixMs - (now() - uncertaintyMs), uncertaintyMs, isKeptInside: synchronized };
    if (best === undefined || reading.uncertaintyMs < best.uncertaintyMs) best = reading;
  }
  channel.release();
  return best;
}
