import type { Directories } from '../../lib/directories.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';

/** Options of a daemon. */
export type ComposeOptions = {
  directories: Directories;
  config: Config;
  log: Log;
  build: { id: string; version: string };
  requestShutdown: () => void;
};
