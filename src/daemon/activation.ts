// systemd's socket activation (sd_listen_fds(3)): systemd listens, and hands its socket over to the daemon that it starts.
import type { Server as NetServer } from 'node:net';

/** The first descriptor that is handed over. */
const FIRST_FD = 3;

/**
 * @param env its LISTEN_ variables are removed: they are meant for this process alone
 * @returns the descriptor of the socket to accept on, or undefined when the daemon is to make its own
 */
export function activatedDescriptor(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const isOurs = env['LISTEN_PID'] === String(pid) && env['LISTEN_FDS'] === '1';
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  return isOurs ? FIRST_FD : undefined;
}

/** Accepts on a descriptor that listens already. @throws EBADF, ENOTSOCK and the like */
export function listenOn(server: NetServer, descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: descriptor }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
