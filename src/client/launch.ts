// The counterpart of bin/banger and bin/bangerd, which rename variables so that Bun and Node do not act on them.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const CALLERS_PREFIX = 'BANGER_CALLERS_';
/** What bin/banger tells the engine of this process alone. */
const OWN_SETTING = 'BUN_JSC_useWarmUpMarkedBlocks';

/** The environment variables on which Node and libuv act; bin/bangerd has the same list. */
export const RUNTIME_VARIABLES = [
  ...['NODE_OPTIONS', 'NODE_PATH', 'NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'NODE_V8_COVERAGE', 'NODE_NO_WARNINGS'],
  ...['NODE_PENDING_DEPRECATION', 'NODE_REDIRECT_WARNINGS', 'NODE_PRESERVE_SYMLINKS', 'NODE_PRESERVE_SYMLINKS_MAIN'],
  ...['NODE_TLS_REJECT_UNAUTHORIZED', 'NODE_ICU_DATA', 'NODE_COMPILE_CACHE', 'NODE_COMPILE_CACHE_PORTABLE'],
  ...['NODE_COMPILE_CACHE_READONLY', 'NODE_DISABLE_COMPILE_CACHE', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE'],
  ...['NODE_UNIQUE_ID', 'NODE_CLUSTER_SCHED_POLICY', 'NODE_TEST_CONTEXT', 'NODE_ENV', 'UV_THREADPOOL_SIZE', 'UV_USE_IO_URING'],
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** @returns the environment of bin/banger's caller, for guests and other programs */
export function callersEnvironment(env: Environment): Record<string, string | undefined> {
  const result = { ...env };
  delete result[OWN_SETTING];
  for (const name of Object.keys(result)) {
    if (!name.startsWith(CALLERS_PREFIX)) continue;
    result[name.slice(CALLERS_PREFIX.length)] = result[name];
    delete result[name];
  }
  return result;
}

/** @returns the variables for a program of banger that is started without bin/banger */
export function programEnvironment(env: Environment): Record<string, string> {
  const foreign = new Set<string>(RUNTIME_VARIABLES);
  return Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined && !foreign.has(pair[0])));
}

/** @returns the path to start this program again, in any environment: its launcher if it has one */
export function ownProgram(programPath: string): string {
  const launcher = join(dirname(dirname(programPath)), 'bin', 'banger');
  return existsSync(launcher) ? launcher : programPath;
}
