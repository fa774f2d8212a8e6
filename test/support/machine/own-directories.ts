import { join } from 'node:path';

/**
 * The environment of a CLI or daemon that has no bundle, publishes no names, and keeps everything below one directory.
 * @param directory absolute
 */
export function ownDirectories(directory: string) {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: directory,
    BANGER_CONFIG: join(directory, 'none.toml'),
    BANGER_STATE_DIR: join(directory, 'state'),
    BANGER_CACHE_DIR: join(directory, 'cache'),
    BANGER_RUNTIME_DIR: join(directory, 'run'),
    BANGER_BUNDLE: join(directory, 'none'),
    BANGER_DNS_ENABLED: 'false',
    BANGER_HTTP_ENABLED: 'false',
  };
}
