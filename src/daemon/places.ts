import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Directories } from '../lib/directories.ts';
import type { Places } from '../lifecycle/bundle/places.ts';
import type { Config } from './config.ts';
import { given } from '../lib/given.ts';

/**
 * Where the daemon looks for the bundle and makes it, in a checkout or an installation.
 * @param program path of the running program: dist/bangerd.cjs in both
 */
export function placesOf(directories: Directories, { bundle: named }: Pick<Config, 'bundle'>, program: string): Places {
  const root = dirname(dirname(program));
  const isCheckout = existsSync(join(root, '.git'));
  const own = isCheckout ? join(root, 'runtime') : join(directories.stateDirectory, 'runtime');
  return {
    bundle: {
      ...given({ env: named }),
      // What `bundle build` made for this user, who may not write beside the program.
      ...(isCheckout ? {} : { own }),
      // The program is installed in `../lib/banger` of the prefix.
      besideProgram: root,
      checkout: isCheckout ? own : null,
    },
    buildDirectory: named ?? own,
    packageRoot: root,
    sourceRoot: existsSync(join(root, 'native/agent/Makefile')) ? root : null,
    cacheDirectory: join(directories.cacheDirectory, 'bundle'),
  };
}
