// Starting and stopping the daemon's process: the one place of the CLI beside ssh-process.ts that touches processes. Loaded
// only when needed, because node:child_process alone costs a listing a tenth of its time.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSend } from '../api/client.ts';
import { createApi } from '../api/client-routes.ts';
import { type DetachedProcess, spawnDetached } from '../host/spawn.ts';
import { isAlive, startTicksOf } from '../host/processes.ts';
import { DirectoryProblem, ensurePrivateDirectory } from '../lib/directories.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';

/** Longest wait for a daemon to listen, and for one to end. */
export const DAEMON_START_TIMEOUT_MS = 30_000;
/** A daemon that ends at once may have lost a race against another one that is about to listen. */
const LOST_RACE_GRACE_MS = 1000;

/**
 * Decides what to run: BANGER_DAEMON, or the daemon beside this program.
 * @throws PREREQUISITE_MISSING when there is none
 */
export function daemonArgv(programPath: string, env: Cli['env'], exists: (path: string) => boolean): string[] {
  const directory = dirname(programPath);
  const given = env['BANGER_DAEMON'];
  const candidates = [`${directory}/bangerd.cjs`, `${directory}/bangerd.js`, `${directory}/bangerd`];
  const found = given ?? candidates.find(exists);
  if (found === undefined || !exists(found)) {
    throw new BangerError('PREREQUISITE_MISSING', `no daemon program ${given ?? `beside ${programPath}`}`, {
      remedy: 'install banger again, or set BANGER_DAEMON to the path of bangerd',
    });
  }
  return /\.(c?js|ts)$/.test(found) ? [process.execPath, ...process.execArgv, found] : [found];
}

/**
 * Starts the daemon in a session of its own and waits until it listens (1.2). Does nothing when one answers already.
 * @throws DAEMON_UNREACHABLE naming the log when it does not listen within 10 s
 */
export async function startDaemon(cli: Cli): Promise<void> {
  const { runtimeDirectory, socketPath, stateDirectory, daemonLogPath } = cli.directories();
  if (await answers(socketPath)) return;
  const argv = daemonArgv(cli.programPath, cli.env, existsSync);
  makePrivate(runtimeDirectory);
  makePrivate(stateDirectory);
  const logBytesBefore = existsSync(daemonLogPath) ? statSync(daemonLogPath).size : 0;
  const env = Object.fromEntries(Object.entries(cli.env).filter((pair): pair is [string, string] => pair[1] !== undefined));
  const daemon = await spawnDetached(argv, { outputPath: daemonLogPath, env, cwd: '/' });
  const ending = await waitForSocket(socketPath, daemon);
  if (ending === undefined) return;
  const said = lastLine(daemonLogPath, logBytesBefore);
  throw new BangerError('DAEMON_UNREACHABLE', `the daemon ${ending}${said === '' ? '' : `: ${said}`}`, {
    remedy: 'read its log',
    logPath: daemonLogPath,
    details: { absent: false },
  });
}

function makePrivate(directory: string): void {
  try {
    ensurePrivateDirectory(directory, process.getuid?.() ?? 0);
  } catch (error) {
    if (error instanceof DirectoryProblem) throw new BangerError('NOT_PERMITTED', error.message, { remedy: error.remedy });
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BangerError('NOT_PERMITTED', `cannot make ${directory}: ${code ?? message}`, { cause: error });
  }
}

/** @returns undefined when the socket answers, otherwise how the daemon failed */
async function waitForSocket(socketPath: string, daemon: DetachedProcess): Promise<string | undefined> {
  let ended: string | undefined;
  let deadline = performance.now() + DAEMON_START_TIMEOUT_MS;
  void daemon.exited.then(({ exitCode, signal }) => {
    ended = signal === null ? `ended with status ${exitCode} while it started` : `was ended by ${signal} while it started`;
    deadline = Math.min(deadline, performance.now() + LOST_RACE_GRACE_MS);
  });
  while (performance.now() < deadline) {
    if (await answers(socketPath)) return undefined;
    await sleep(20);
  }
  return ended ?? `did not listen within ${DAEMON_START_TIMEOUT_MS / 1000} s`;
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const settle = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** @returns the last thing the daemon wrote since `fromByte`; its log lines are JSON with `msg` */
function lastLine(path: string, fromByte: number): string {
  const text = existsSync(path) ? readFileSync(path).subarray(fromByte).toString('utf8') : '';
  const line = text.trim().split('\n').at(-1) ?? '';
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null && 'msg' in entry ? String(entry.msg) : line;
  } catch {
    return line;
  }
}

/**
 * Asks the daemon to end and waits until it is gone. VMs go on (1.2).
 * @returns false when none ran
 * @throws TIMEOUT when it still listens after 10 s
 */
export async function stopDaemon(cli: Cli): Promise<boolean> {
  const { socketPath, daemonLogPath } = cli.directories();
  if (!(await answers(socketPath))) return false;
  let pid: number | undefined;
  try {
    ({ pid } = await createApi(createSend(socketPath)).shutdown());
  } catch (error) {
    // It may be gone before its answer is; whether it ended is seen below.
    if (!(error instanceof BangerError) || error.code !== 'DAEMON_UNREACHABLE') throw error;
  }
  const deadline = performance.now() + DAEMON_START_TIMEOUT_MS;
  const startTicks = pid === undefined ? undefined : startTicksOf(pid);
  // Not the socket when the process is known: systemd goes on listening, and asking would start the next daemon.
  const isThere = (): Promise<boolean> | boolean =>
    pid === undefined ? answers(socketPath) : startTicks !== undefined && isAlive({ pid, startTicks });
  while (await isThere()) {
    if (performance.now() > deadline) {
      throw new BangerError('TIMEOUT', `the daemon did not end within ${DAEMON_START_TIMEOUT_MS / 1000} s`, { logPath: daemonLogPath });
    }
    await sleep(20);
  }
  return true;
}

/** Puts our build in the place of the daemon that runs (1.3). */
export async function restartDaemon(cli: Cli): Promise<void> {
  await stopDaemon(cli);
  await startDaemon(cli);
}
