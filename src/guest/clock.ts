import { z } from 'zod';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { encodeRequest, exchangeHead, receiveBody, settleChannel } from './agent-exchange.ts';
import { parseReply } from './agent-replies.ts';

/** A busy host answers late now and then; of this many readings, one was not disturbed. */
const READINGS = 6;
/** With such a short round trip, more readings gain nothing. */
const GOOD_ROUND_TRIP_MS = 4;

const REQUEST = { method: 'GET', target: '/time' };

const timeReply = z.object({ unixMs: z.number().nonnegative(), synchronized: z.boolean() });

/** A reading of a guest's clock. */
export type ClockReading = {
  /** The guest's time minus the host's. */
  offsetMs: number;
  /** The error of the offset is at most this: half of the round trip. */
  uncertaintyMs: number;
  /** An NTP program of the guest keeps the clock. */
  isKeptInside: boolean;
};

/**
 * Reads the clock several times over one channel, and uses the reading with the shortest round trip.
 * @param now wall clock of the host, milliseconds
 * @returns undefined if the agent belongs to an older image and does not know this request
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
