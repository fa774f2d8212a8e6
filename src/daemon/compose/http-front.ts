import { dirname, join } from 'node:path';
import { createHttpFront, type HttpFront } from '../../http/front.ts';
import { spawnChannel } from '../../host/spawn.ts';
import type { ComposeOptions } from './options.ts';

/** @returns the daemon's HTTP front, whose program lies beside the daemon's own; undefined if it is switched off */
export function httpFrontOf({ config, directories, log }: ComposeOptions): HttpFront | undefined {
  if (!config.http.enabled) return undefined;
  const program = join(dirname(process.argv[1] ?? '/'), 'http-front.cjs');
  return createHttpFront({
    ...config.http,
    // The directory in the arguments shows in a process list which daemon this front belongs to.
    start: () => spawnChannel([process.execPath, program, directories.runtimeDirectory, config.network.share]),
    log: (level, message, facts) => log[level](facts, message),
  });
}
