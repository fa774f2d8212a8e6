import { notOurs } from '../../../client/send.ts';
import { PlaceProblem } from '../../../lib/own-place.ts';
import { isSet } from '../../../lib/is-set.ts';
import { connectOwnSocket } from '../../../lib/own-socket.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { createDaemonSend } from '../../../client/daemon-send.ts';
import { GREETING, GREETING_VARIABLE } from '../../../client/remote-process.ts';

export function declareCommand(cli: Cli) {
  return newCommand(
    'dial-stdio',
    "connect stdin and stdout with the socket of this machine's daemon, which is started when it does not run",
    ['banger internal dial-stdio', 'ssh user@host banger internal dial-stdio'],
  ).action(async () => {
    const reply = await createDaemonSend(cli, { autostart: true })({ method: 'GET', path: '/v1/daemon/build' });
    reply.socket.destroy();
    await relay(cli, cli.directories().socketPath);
  });
}

function relay(cli: Cli, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectOwnSocket(socketPath);
    if (isSet(cli.env[GREETING_VARIABLE])) socket.once('connect', () => cli.stdout.write(GREETING));
    socket.on('error', (error) => reject(error instanceof PlaceProblem ? notOurs(error) : error));
    // What is still queued for a full pipe would be lost with this process.
    socket.on('close', () => cli.stdout.write('', () => resolve()));
    // Nobody half-closes this protocol: who sends no more is gone.
    cli.stdin.on('end', () => socket.end(() => socket.destroy()));
    cli.stdin.pipe(socket, { end: false });
    socket.pipe(cli.stdout, { end: false });
  });
}
