import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Opens a port for a moment.
 * @returns why this user cannot have it now; undefined if it is available
 */
export function portProblem(protocol: 'tcp' | 'udp', at: { address: string; port: number } | undefined): Promise<string | undefined> {
  if (at === undefined) return Promise.resolve(undefined);
  const { address, port } = at;
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(describe(error, address, port));
    if (protocol === 'tcp') {
      const server = createServer().once('error', onError);
      server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
    } else {
      const socket = createSocket('udp4').once('error', onError);
      socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(undefined)));
    }
  });
}

function describe(error: NodeJS.ErrnoException, address: string, port: number): string {
  if (error.code === 'EADDRINUSE') return `another program uses ${address}:${port}`;
  if (error.code === 'EACCES') return `port ${port} is not open to ordinary users`;
  if (error.code === 'EADDRNOTAVAIL') return `${address} is no address of this host`;
  return error.message;
}
