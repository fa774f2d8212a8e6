import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { portProblemOf } from '../lib/port-problem.ts';

/**
 * Opens a port for a moment.
 * @returns why this user cannot have it now; undefined if it is available
 */
export function portProblem(protocol: 'tcp' | 'udp', at: { address: string; port: number } | undefined): Promise<string | undefined> {
  if (at === undefined) return Promise.resolve(undefined);
  const { address, port } = at;
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(portProblemOf(error.code, address, port) ?? error.message);
    if (protocol === 'tcp') {
      const server = createServer().once('error', onError);
      server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
    } else {
      const socket = createSocket('udp4').once('error', onError);
      socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(undefined)));
    }
  });
}
