// Where banger keeps its files. The CLI and the daemon use the same code, so that both find the same socket.
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { othersMayWrite, ownUid, PlaceProblem, refuseForeignDirectory, refuseForeignWay } from './own-place.ts';
import { shellWord } from './shell-word.ts';

export type Directories = {
  /** config.toml, which may be missing. */
  configPath: string;
  /** Database, disks and logs, which must survive. */
  stateDirectory: string;
  /** Files that can be downloaded or built again. */
  cacheDirectory: string;
  /** Sockets and pid files; gone after a reboot. */
  runtimeDirectory: string;
  socketPath: string;
  /** The daemon's own log; stdout and stderr of a daemon in the background are appended to it, too. */
  daemonLogPath: string;
};

/** sun_path holds 108 bytes (unix(7)); the VMs' own sockets have names below the same directory, hence the slack. */
export const MAX_SOCKET_PATH_BYTES = 100;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Applies the XDG base directory rules and banger's own variables: BANGER_CONFIG, BANGER_STATE_DIR, BANGER_CACHE_DIR and BANGER_RUNTIME_DIR
 * take precedence over XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME and XDG_RUNTIME_DIR. Touches no file.
 * @param home the user's home directory
 * @throws PlaceProblem if a variable is relative, or the socket's path would be longer than the kernel permits
 */
export function resolveDirectories(env: Environment, home: string, uid: number): Directories {
  const xdg = (variable: string, fallback: string): string => {
    const value = env[variable];
    // The XDG specification: ignore a relative path in one of its variables, because it is invalid.
    return `${value !== undefined && isAbsolute(value) ? value : `${home}/${fallback}`}/banger`;
  };
  const stateDirectory = own(env, 'BANGER_STATE_DIR') ?? xdg('XDG_STATE_HOME', '.local/state');
  const runtimeDirectory = own(env, 'BANGER_RUNTIME_DIR') ?? runtimeFallback(env, uid);
  const socketPath = `${runtimeDirectory}/bangerd.sock`;
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    throw new PlaceProblem(
      `the socket path ${socketPath} has ${Buffer.byteLength(socketPath)} bytes, more than ${MAX_SOCKET_PATH_BYTES}`,
      'set BANGER_RUNTIME_DIR to a shorter directory',
    );
  }
  return {
    configPath: own(env, 'BANGER_CONFIG') ?? `${xdg('XDG_CONFIG_HOME', '.config')}/config.toml`,
    stateDirectory,
    cacheDirectory: own(env, 'BANGER_CACHE_DIR') ?? xdg('XDG_CACHE_HOME', '.cache'),
    runtimeDirectory,
    socketPath,
    daemonLogPath: `${stateDirectory}/bangerd.log`,
  };
}

function own(env: Environment, variable: string): string | undefined {
  const value = env[variable];
  if (value === undefined || value === '') return undefined;
  if (isAbsolute(value)) return value.length > 1 ? value.replace(/\/+$/, '') : value;
  throw new PlaceProblem(`${variable} is ${JSON.stringify(value)}, which is not an absolute path`, `set ${variable} to an absolute path`);
}

function runtimeFallback(env: Environment, uid: number): string {
  const value = env['XDG_RUNTIME_DIR'];
  return value !== undefined && isAbsolute(value) ? `${value}/banger` : `/tmp/banger-${uid}`;
}

/**
 * Makes a directory with mode 0700, or closes an existing one of this user. Another user may have made the directory at that path, to catch
 * the socket and what this user writes, or it may be in a place where others can move it.
 * @throws PlaceProblem if it belongs to another user, is not a directory, contains files of others, cannot be made, or others can change
 * the path to it
 */
export function ensurePrivateDirectory(directory: string): void {
  refuseForeignWay(nearestThere(dirname(directory)));
  makeDirectories(directory);
  const stat = lstatSync(directory);
  refuseForeignDirectory(directory, stat);
  if ((stat.mode & 0o077) === 0) return;
  chmodSync(directory, 0o700);
  if (othersMayWrite(stat)) refuseForeignEntries(directory);
}

function nearestThere(directory: string): string {
  return existsSync(directory) || dirname(directory) === directory ? directory : nearestThere(dirname(directory));
}

/** While others could write there, they may have put a link under a name that banger will write to. */
function refuseForeignEntries(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = `${directory}/${name}`;
    const stat = lstatSync(path);
    if (stat.uid === ownUid() && !stat.isSymbolicLink()) continue;
    throw new PlaceProblem(`${directory} was open to others, and ${path} is not yours`, `rm -r ${shellWord(path)}`);
  }
}

/**
 * Makes a directory and its parents. Node's own recursive mkdir never returns if the kernel answers ENOENT for a directory whose parent
 * exists, as in /proc.
 */
function makeDirectories(directory: string, isLastTry = false): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || isLastTry || dirname(directory) === directory) {
      throw new PlaceProblem(
        `${directory} cannot be made: ${code}`,
        'choose another place with BANGER_STATE_DIR, BANGER_CACHE_DIR or BANGER_RUNTIME_DIR',
      );
    }
    makeDirectories(dirname(directory));
    makeDirectories(directory, true);
  }
}
