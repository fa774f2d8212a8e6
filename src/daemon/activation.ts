// systemd's socket activation (sd_listen_fds(3)): systemd listens, and passes its socket to the daemon that it starts.
import type { Server as NetServer } from 'node:net';

/** The first descriptor that systemd passes. */
const FIRST_FD = 3;

/**
 * @param env the function removes its LISTEN_ variables: they are for this process only
 * @returns the descriptor of the listening socket, or undefined if the daemon must make its own
 */
export function activatedDescriptor(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const isOurs = env['LISTEN_PID'] === String(pid) && env['LISTEN_FDS'] === '1';
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  return isOurs ? FIRST_FD : undefined;
}

/** Accepts connections on a descriptor that already listens. @throws EBADF, ENOTSOCK and the like */
export function listenOn(server: NetServer, descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: descriptor }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
