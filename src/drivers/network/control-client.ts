import { ConversationFailure, type LineReply, converse, parseFacts } from '../../lib/line-protocol.ts';
import { PlaceProblem } from '../../lib/own-place.ts';
import { BangerError } from '../../model/errors.ts';

/** The holder's reply to `info`. */
export type HolderInfo = { outerPid: number; innerPid: number };

/**
 * Sends requests on one connection and reads a reply for each.
 * @throws NETWORK_FAILED if nothing listens, the connection ends early, or no reply comes within `timeoutMs`
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

/** Sends one request. @throws NETWORK_FAILED also if the reply is an error */
export function controlOne(socketPath: string, request: string): Promise<string[]> {
  return oneOf((requests) => control(socketPath, requests))(request);
}

/** @returns a function that sends one request, and throws if the reply is an error */
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

/** The errors of a conversation with a holder that is missing, or is just ending. */
const ABSENT: readonly unknown[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'it closed the connection'];

/**
 * @returns the holder's description of itself, or undefined if there is none
 * @throws NETWORK_FAILED if it is uncertain, for example if it does not answer in time: another must not replace it
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
