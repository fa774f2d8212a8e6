import { connect } from 'node:net';
import { BangerError, type ErrorCode } from '../../model/errors.ts';

/** The root helper, one request at a time. */
export type HelperClient = {
  /**
   * @param request one line
   * @returns the data lines of the answer
   */
  ask(request: string): Promise<string[]>;
};

/** Making an overlay of many GiB, the longest of its work, takes a second or two on a busy disk. */
const TIMEOUT_MS = 30_000;
const MAX_REPLY_BYTES = 1024 ** 2;
const REMEDY = 'sudo banger setup';

/**
 * Every request has a connection of its own: the helper may be started anew by the next one.
 * @param refusal what a driver calls it when the helper says no; the errno's name is in details.errno
 * @returns a client that throws PREREQUISITE_MISSING when no helper answers, and `refusal`
 */
export function createHelperClient(socketPath: string, refusal: ErrorCode): HelperClient {
  return {
    async ask(request) {
      const reply = (await exchange(socketPath, `${request}\n`)).trimEnd().split('\n');
      const last = reply.pop() ?? '';
      if (last === 'ok') return reply;
      const [, errno = 'EPROTO', text = last] = /^error (\S+) ?(.*)$/.exec(last) ?? [];
      const facts = errno === 'EACCES' ? { remedy: REMEDY } : {};
      throw new BangerError(refusal, `the root helper refused "${request}": ${text}`, { ...facts, details: { errno } });
    },
  };
}

/** @returns everything up to and with the line that ends the answer */
function exchange(socketPath: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => socket.write(request));
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners('close').destroy();
      settle();
    };
    const fail = (reason: string): void =>
      finish(() => reject(new BangerError('PREREQUISITE_MISSING', `the root helper does not answer: ${reason}`, { remedy: REMEDY })));
    const timer = setTimeout(() => fail(`nothing came within ${TIMEOUT_MS / 1000} seconds`), TIMEOUT_MS);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', (error: NodeJS.ErrnoException) => fail(`${socketPath}: ${error.code ?? 'the connection broke'}`));
    socket.on('close', () => fail('it closed the connection'));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_REPLY_BYTES) fail('its answer is too long');
      else if (/^(?:ok|error .*)\n$/m.test(text)) finish(() => resolve(text));
    });
  });
}
