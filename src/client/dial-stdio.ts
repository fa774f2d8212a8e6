// The other end of remote-process.ts: connects two streams with the socket of this machine's daemon.
import { isSet } from '../lib/is-set.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { connectOwnSocket } from '../lib/own-socket.ts';
import type { Caller } from './caller.ts';
import { createDaemonSend } from './daemon-send.ts';
import { GREETING, GREETING_VARIABLE } from './remote-process.ts';
import { notOurs } from './send.ts';

export type StdioStreams = { stdin: NodeJS.ReadableStream; stdout: NodeJS.WritableStream };

/**
 * Starts the daemon if it does not run, then passes bytes both ways until one end closes.
 * @throws DAEMON_UNREACHABLE, NOT_PERMITTED
 */
export async function dialStdio(caller: Caller, streams: StdioStreams): Promise<void> {
  const reply = await createDaemonSend(caller, { autostart: true })({ method: 'GET', path: '/v1/daemon/build' });
  reply.socket.destroy();
  await relay(caller.directories().socketPath, streams, isSet(caller.env[GREETING_VARIABLE]));
}

function relay(socketPath: string, { stdin, stdout }: StdioStreams, greets: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectOwnSocket(socketPath);
    if (greets) socket.once('connect', () => stdout.write(GREETING));
    socket.on('error', (error) => reject(error instanceof PlaceProblem ? notOurs(error) : error));
    // Data that is still queued for a full pipe would be lost with this process.
    socket.on('close', () => stdout.write('', () => resolve()));
    // This protocol has no half-close: a peer that stops sending is gone.
    stdin.on('end', () => socket.end(() => socket.destroy()));
    stdin.pipe(socket, { end: false });
    socket.pipe(stdout, { end: false });
  });
}
