import type { Directories } from '../../lib/directories.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';

/** What a daemon is told by whoever starts it. */
export type ComposeOptions = {
  directories: Directories;
  config: Config;
  log: Log;
  build: { id: string; version: string };
  requestShutdown: () => void;
};
