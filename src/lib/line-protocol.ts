// The line protocol of banger-forwarder's control socket and of the root helper (head of native/common/lines.h).
import type { Socket } from 'node:net';
import { PlaceProblem } from './own-place.ts';
import { connectOwnSocket, connectRootSocket } from './own-socket.ts';

/** The reply to one request: data lines and `ok`, or `error ERRNO TEXT`. */
export type LineReply = { ok: true; lines: string[] } | { ok: false; errno: string; text: string };

/** The conversation itself failed: nothing listens, it ended early, or no reply came in time. */
export class ConversationFailure extends Error {
  override readonly name = 'ConversationFailure';
}

const MAX_REPLY_BYTES = 4 * 1024 ** 2;

/**
 * Sends requests on one connection to a program of this user, and reads a reply for each.
 * @throws ConversationFailure with the reason, such as ENOENT; PlaceProblem if the socket is not this user's
 */
export function converse(socketPath: string, requests: readonly string[], timeoutMs: number): Promise<LineReply[]> {
  return converseOn(connectOwnSocket, socketPath, requests, timeoutMs);
}

/** The same for a program of root. @throws PlaceProblem also if users other than root could have put the socket there */
export function converseWithRoot(socketPath: string, requests: readonly string[], timeoutMs: number): Promise<LineReply[]> {
  return converseOn(connectRootSocket, socketPath, requests, timeoutMs);
}

function converseOn(
  connect: (path: string) => Socket,
  socketPath: string,
  requests: readonly string[],
  timeoutMs: number,
): Promise<LineReply[]> {
  if (requests.length === 0) return Promise.resolve([]);
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const refuse = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const fail = (reason: string): void => refuse(new ConversationFailure(reason));
    const timer = setTimeout(() => fail(`no reply came within ${timeoutMs} ms`), timeoutMs);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(requests.map((request) => `${request}\n`).join('')));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error instanceof PlaceProblem ? refuse(error) : fail(error.code ?? 'the connection broke'),
    );
    socket.on('close', () => fail('it closed the connection'));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_REPLY_BYTES) return fail('its reply is too long');
      const replies = parseReplies(text);
      if (replies.length < requests.length) return;
      clearTimeout(timer);
      socket.removeAllListeners('close');
      socket.destroy();
      resolve(replies);
    });
  });
}

/** @returns the complete replies in `text` */
export function parseReplies(text: string): LineReply[] {
  const replies: LineReply[] = [];
  let lines: string[] = [];
  for (const line of text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)) {
    const failure = /^error (\S+) ?(.*)$/.exec(line);
    if (line === 'ok') replies.push({ ok: true, lines });
    else if (failure !== null) replies.push({ ok: false, errno: failure[1] ?? '', text: failure[2] ?? '' });
    else {
      lines.push(line);
      continue;
    }
    lines = [];
  }
  return replies;
}

/** @returns the `NAME=VALUE` words of a data line, by name */
export function parseFacts(line: string): Map<string, string> {
  return new Map(
    line.split(' ').flatMap((word): [string, string][] => {
      const at = word.indexOf('=');
      return at > 0 ? [[word.slice(0, at), word.slice(at + 1)]] : [];
    }),
  );
}
