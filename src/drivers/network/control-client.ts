import { ConversationFailure, type LineReply, converse, parseFacts } from '../../lib/line-protocol.ts';
import { PlaceProblem } from '../../lib/own-place.ts';
import { BangerError } from '../../model/errors.ts';

/** What `info` says. */
export type HolderInfo = { outerPid: number; innerPid: number };

/**
 * Sends requests on one connection and reads an answer for each.
 * @throws NETWORK_FAILED when nobody listens, the connection ends early or nothing comes within `timeoutMs`
 */
export async function control(socketPath: string, requests: readonly string[], timeoutMs = 10_000): Promise<LineReply[]> {
  try {
    return await converse(socketPath, requests, timeoutMs);
  } catch (error) {
    if (error instanceof PlaceProblem) throw new BangerError('NOT_PERMITTED', error.message, { remedy: error.remedy, cause: error });
    if (!(error instanceof ConversationFailure)) throw error;
    throw new BangerError('NETWORK_FAILED', `the network holder does not answer: ${error.message}`, {
      remedy: 'banger doctor',
      details: { conversation: error.message },
    });
  }
}

/** Sends one request. @throws NETWORK_FAILED also when the answer is an error */
export function controlOne(socketPath: string, request: string): Promise<string[]> {
  return oneOf((requests) => control(socketPath, requests))(request);
}

/** @returns a function that sends one request, and takes an answer that is an error for a failure */
export function oneOf(ask: (requests: readonly string[]) => Promise<LineReply[]>): (request: string) => Promise<string[]> {
  return async (request) => linesOf(request, (await ask([request]))[0]);
}

function linesOf(request: string, reply: LineReply | undefined): string[] {
  if (reply?.ok === true) return reply.lines;
  const { errno, text } = reply ?? { errno: 'EPIPE', text: '' };
  throw new BangerError('NETWORK_FAILED', `the network holder refused "${request}": ${text}`, {
    remedy: 'banger doctor',
    details: { errno },
  });
}

/** How a conversation fails with a holder that is not there, or is just ending. */
const ABSENT: readonly unknown[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'it closed the connection'];

/**
 * @returns what the holder says of itself, or undefined when there is none
 * @throws NETWORK_FAILED when nobody knows, as when it does not answer in time: another one must not take its place
 */
export async function holderInfo(socketPath: string): Promise<HolderInfo | undefined> {
  try {
    const [line] = await controlOne(socketPath, 'info');
    const values = parseFacts(line ?? '');
    const innerPid = Number(values.get('inner'));
    const outerPid = Number(values.get('outer'));
    if (!(innerPid > 1) || !(outerPid > 1)) return undefined;
    return { innerPid, outerPid };
  } catch (error) {
    if (error instanceof BangerError && ABSENT.includes(error.details?.['conversation'])) return undefined;
    throw error;
  }
}
