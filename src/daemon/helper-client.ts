import { ConversationFailure, type LineReply, converseWithRoot } from '../lib/line-protocol.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { BangerError, type ErrorCode } from '../model/errors.ts';

/** A client of the root helper, which handles one request at a time. */
export type HelperClient = {
  /**
   * @param request one line
   * @returns the data lines of the reply
   */
  ask(request: string): Promise<string[]>;
};

/** The longest request makes an overlay of many GiB, which takes a second or two on a busy disk. */
const TIMEOUT_MS = 30_000;
const REMEDY = 'sudo banger setup';

/**
 * Every request has a connection of its own, because a new helper process may serve the next one.
 * @param talk connects only to a program of root, except in tests
 * @param refusal the error code if the helper refuses; details.errno holds the errno's name
 * @returns a client that throws PREREQUISITE_MISSING if no helper answers, and `refusal` if it refuses
 */
export function createHelperClient(socketPath: string, refusal: ErrorCode, talk = converseWithRoot): HelperClient {
  return {
    async ask(request) {
      const reply = await askOnce(talk, socketPath, request);
      if (reply.ok) return reply.lines;
      const facts = reply.errno === 'ECONNREFUSED' ? { remedy: REMEDY } : {};
      throw new BangerError(refusal, `the root helper refused "${request}": ${reply.text}`, { ...facts, details: { errno: reply.errno } });
    },
  };
}

async function askOnce(talk: typeof converseWithRoot, socketPath: string, request: string): Promise<LineReply> {
  try {
    const [reply] = await talk(socketPath, [request], TIMEOUT_MS);
    return reply ?? { ok: false, errno: 'EPROTO', text: 'no answer' };
  } catch (error) {
    if (error instanceof PlaceProblem) {
      throw new BangerError('PREREQUISITE_MISSING', `this is not banger's root helper: ${error.message}`, {
        remedy: error.remedy,
        cause: error,
      });
    }
    if (!(error instanceof ConversationFailure)) throw error;
    throw new BangerError('PREREQUISITE_MISSING', `the root helper does not answer: ${socketPath}: ${error.message}`, { remedy: REMEDY });
  }
}
