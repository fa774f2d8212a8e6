// An installation as users find it: a read-only tree of another owner, with no checkout and no Node.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../../..');

/** Runs one of the repository's tools. @returns stdout without surrounding blanks @throws if its status is not 0 */
export function runTool(command: readonly string[], cwd = REPOSITORY): string {
  const [program = '', ...args] = command;
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: 300_000 });
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** Separate directories for an installed program, and a PATH without Node. */
export function runInstalled(program: string, args: readonly string[], directory: string): SpawnSyncReturns<string> {
  const env = {
    ...{ PATH: '/usr/bin:/bin', HOME: directory, LANG: 'C.UTF-8', BANGER_DNS_ENABLED: 'false' },
    ...{ BANGER_CONFIG: join(directory, 'none.toml'), BANGER_RUNTIME_DIR: join(directory, 'run') },
    ...{ BANGER_STATE_DIR: join(directory, 'state'), BANGER_CACHE_DIR: join(directory, 'cache') },
  };
  return spawnSync(program, args, { env, cwd: '/', encoding: 'utf8', timeout: 120_000 });
}
