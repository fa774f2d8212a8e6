import { BangerError } from './errors.ts';

/**
 * @param server.what its name, for people
 * @param server.key the setting of its port
 * @returns the error for a server of the daemon that cannot have its port
 */
export function listenFailure(
  error: NodeJS.ErrnoException,
  server: { what: string; key: string; address: string; port: number },
): BangerError {
  const { what, key, address, port } = server;
  const reason = error.code === 'EADDRINUSE' ? 'another program uses it' : (error.code ?? error.message);
  return new BangerError('NETWORK_FAILED', `${what} cannot listen on ${address}:${port} (${key}): ${reason}`, {
    remedy: `ss -lntup 'sport = :${port}'`,
    details: { address, port, errno: error.code },
    cause: error,
  });
}
