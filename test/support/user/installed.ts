// What is installed, as its user finds it: a tree that is read-only and not ours, with no checkout and no Node beside it.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../../..');

/** Runs a program of the repository's own tools. @throws when it does not end with 0 @returns stdout without the blanks around it */
export function runTool(command: readonly string[], cwd = REPOSITORY): string {
  const [program = '', ...args] = command;
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: 300_000 });
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** Directories of its own for a program that is installed somewhere, and a PATH on which there is no Node. */
export function runInstalled(program: string, args: readonly string[], directory: string): SpawnSyncReturns<string> {
  const env = {
    ...{ PATH: '/usr/bin:/bin', HOME: directory, LANG: 'C.UTF-8', BANGER_DNS_ENABLED: 'false' },
    ...{ BANGER_CONFIG: join(directory, 'none.toml'), BANGER_RUNTIME_DIR: join(directory, 'run') },
    ...{ BANGER_STATE_DIR: join(directory, 'state'), BANGER_CACHE_DIR: join(directory, 'cache') },
  };
  return spawnSync(program, args, { env, cwd: '/', encoding: 'utf8', timeout: 120_000 });
}
