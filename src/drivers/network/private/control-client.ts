// Speaks the line protocol of banger-forwarder's control socket (head of forwarder/control.c).
import { connect } from 'node:net';
import { BangerError } from '../../../model/errors.ts';

export type ControlReply = { ok: true; lines: string[] } | { ok: false; errno: string; text: string };

/** What `info` says. */
export type HolderInfo = { outerPid: number; innerPid: number };

const MAX_REPLY_BYTES = 4 * 1024 ** 2;

/**
 * Sends requests on one connection and reads an answer for each.
 * @throws NETWORK_FAILED when nobody listens, the connection ends early or nothing comes within `timeoutMs`
 */
export function control(socketPath: string, requests: readonly string[], timeoutMs = 10_000): Promise<ControlReply[]> {
  if (requests.length === 0) return Promise.resolve([]);
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (reason: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new BangerError('NETWORK_FAILED', `the network holder does not answer: ${reason}`, { remedy: 'banger doctor' }));
    };
    const timer = setTimeout(() => fail(`nothing came within ${timeoutMs} ms`), timeoutMs);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(requests.map((request) => `${request}\n`).join('')));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'the connection broke'));
    socket.on('close', () => fail('it closed the connection'));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_REPLY_BYTES) return fail('its answer is too long');
      const replies = parseReplies(text);
      if (replies.length < requests.length) return;
      clearTimeout(timer);
      socket.removeAllListeners('close');
      socket.destroy();
      resolve(replies);
    });
  });
}

/** @returns the answers that are complete in `text`. */
export function parseReplies(text: string): ControlReply[] {
  const replies: ControlReply[] = [];
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

/** Sends one request. @throws NETWORK_FAILED also when the answer is an error */
export async function controlOne(socketPath: string, request: string): Promise<string[]> {
  const [reply] = await control(socketPath, [request]);
  if (reply?.ok === true) return reply.lines;
  const { errno, text } = reply ?? { errno: 'EPIPE', text: '' };
  throw new BangerError('NETWORK_FAILED', `the network holder refused "${request}": ${text}`, {
    remedy: 'banger doctor',
    details: { errno },
  });
}

/** @returns what the holder says of itself, or undefined when none answers. */
export async function holderInfo(socketPath: string): Promise<HolderInfo | undefined> {
  try {
    const [line] = await controlOne(socketPath, 'info');
    const values = new Map((line ?? '').split(' ').map((pair) => pair.split('=') as [string, string]));
    const innerPid = Number(values.get('inner'));
    const outerPid = Number(values.get('outer'));
    if (!(innerPid > 1) || !(outerPid > 1)) return undefined;
    return { innerPid, outerPid };
  } catch (error) {
    if (error instanceof BangerError && error.code === 'NETWORK_FAILED') return undefined;
    throw error;
  }
}
