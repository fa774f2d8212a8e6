// Starts and stops the daemon's process. Apart from ssh-process.ts, no other part of the CLI touches processes. It is loaded on demand,
// because node:child_process alone costs a listing a tenth of its time.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSend, notOurs } from './send.ts';
import { createApi } from './api.ts';
import { type DetachedProcess, spawnDetached } from '../host/spawn.ts';
import { isAlive, startTicksOf } from '../host/processes.ts';
import { ensurePrivateDirectory } from '../lib/directories.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { connectOwnSocket } from '../lib/own-socket.ts';
import { BangerError, ERROR_CODES } from '../model/errors.ts';
import type { Caller } from './caller.ts';
import { programEnvironment } from './launch.ts';
import { given } from '../lib/given.ts';

/** The longest wait for a new daemon to listen: first it adopts running VMs, and finishes or undoes the last daemon's work. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
/** How long to wait for a daemon that started before ours. After that, ours is started again to see whether the other is still there. */
const WINNER_PATIENCE_MS = 3000;

/**
 * @returns path of the program that starts the daemon: BANGER_DAEMON, or the launcher that belongs to this program
 * @throws PREREQUISITE_MISSING if there is none
 */
export function daemonProgram(programPath: string, env: Caller['env'], exists: (path: string) => boolean): string {
  const named = env['BANGER_DAEMON'];
  const found = named ?? join(dirname(dirname(programPath)), 'bin', 'bangerd');
  if (!exists(found)) {
    throw new BangerError('PREREQUISITE_MISSING', `no daemon program ${found}`, {
      remedy: 'reinstall banger, or set BANGER_DAEMON to the path of bangerd',
    });
  }
  return found;
}

/**
 * Starts the daemon in a session of its own and waits until it listens. Does nothing if a daemon answers already. If several clients start
 * a daemon at once, one daemon wins and all clients wait for it.
 * @throws DAEMON_UNREACHABLE with the log's path if the daemon ends, or does not listen within two minutes
 */
export async function startDaemon(caller: Caller): Promise<void> {
  const { runtimeDirectory, socketPath, stateDirectory, daemonLogPath } = caller.directories();
  if (await answers(socketPath)) return;
  const program = daemonProgram(caller.programPath, caller.env, existsSync);
  makePrivate(runtimeDirectory);
  makePrivate(stateDirectory);
  const logBytesBefore = existsSync(daemonLogPath) ? statSync(daemonLogPath).size : 0;
  const env = programEnvironment(caller.env);
  const start = (): Promise<DetachedProcess> => spawnDetached([program], { outputPath: daemonLogPath, env, cwd: '/' });
  const ending = await waitForSocket(socketPath, start);
  if (ending === undefined) return;
  const said = lastWords(daemonLogPath, logBytesBefore);
  throw new BangerError('DAEMON_UNREACHABLE', `the daemon ${ending}${said.text === '' ? '' : `: ${said.text}`}`, {
    remedy: said.remedy ?? 'read its log',
    logPath: daemonLogPath,
    details: { absent: false },
  });
}

function makePrivate(directory: string): void {
  try {
    ensurePrivateDirectory(directory);
  } catch (error) {
    if (error instanceof PlaceProblem) throw notOurs(error);
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BangerError('NOT_PERMITTED', `cannot make ${directory}: ${code ?? message}`, { cause: error });
  }
}

/** @returns undefined once the socket answers, otherwise how the daemon failed */
async function waitForSocket(socketPath: string, start: () => Promise<DetachedProcess>): Promise<string | undefined> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const end = await answersOrEnds(socketPath, await start(), deadline);
    if (end === 'answers') return undefined;
    if (end === 'neither') return `did not listen within ${START_TIMEOUT_MS / 1000} s`;
    const { exitCode, signal } = end;
    if (exitCode !== ERROR_CODES.DAEMON_RUNNING.exit) {
      return signal === null ? `ended with status ${exitCode} while it started` : `was ended by ${signal} while it started`;
    }
    if (await answersUntil(socketPath, Math.min(deadline, performance.now() + WINNER_PATIENCE_MS))) return undefined;
  }
}

type ProcessEnd = { exitCode: number | null; signal: NodeJS.Signals | null };

async function answersOrEnds(socketPath: string, daemon: DetachedProcess, deadline: number): Promise<'answers' | 'neither' | ProcessEnd> {
  let ended: ProcessEnd | undefined;
  void daemon.exited.then((end) => (ended = end));
  while (performance.now() < deadline) {
    if (await answers(socketPath)) return 'answers';
    if (ended !== undefined) return ended;
    await sleep(POLL_MS);
  }
  return 'neither';
}

async function answersUntil(socketPath: string, deadline: number): Promise<boolean> {
  while (performance.now() < deadline) {
    if (await answers(socketPath)) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/** @throws NOT_PERMITTED if the socket belongs to another user */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connectOwnSocket(socketPath);
    const settle = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', (error) => (error instanceof PlaceProblem ? reject(notOurs(error)) : settle(false)));
  });
}

/** @returns the daemon's last message since `fromByte`: an error with its remedy, or a line of the log, which is JSON with `msg` */
function lastWords(path: string, fromByte: number): { text: string; remedy?: string } {
  const written = existsSync(path) ? readFileSync(path).subarray(fromByte).toString('utf8') : '';
  const lines = written.trimEnd().split('\n');
  const remedy = /^ {2}try: (.*)$/.exec(lines.at(-1) ?? '')?.[1];
  // For an unforeseen error, the stack trace stands below the message.
  const line = lines.findLast((one) => one.startsWith('bangerd: ')) ?? lines.at(remedy === undefined ? -1 : -2) ?? '';
  return { text: messageOfLine(line).replace(/^bangerd: /, ''), ...given({ remedy }) };
}

function messageOfLine(line: string): string {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null && 'msg' in entry ? String(entry.msg) : line;
  } catch {
    return line;
  }
}

/**
 * Asks the daemon to end, and waits for its end. VMs continue.
 * @returns false if none ran
 * @throws TIMEOUT if it still listens after 30 s
 */
export async function stopDaemon(caller: Caller): Promise<boolean> {
  const { socketPath, daemonLogPath } = caller.directories();
  if (!(await answers(socketPath))) return false;
  let pid: number | undefined;
  try {
    ({ pid } = await createApi(createSend(socketPath)).shutdown());
  } catch (error) {
    // The daemon may end before it replies; the code below sees whether it ended.
    if (!(error instanceof BangerError) || error.code !== 'DAEMON_UNREACHABLE') throw error;
  }
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  const startTicks = pid === undefined ? undefined : startTicksOf(pid);
  // Wait for the process if it is known, not for the socket: systemd still listens there, and a connection would start the next daemon.
  const isThere = (): Promise<boolean> | boolean =>
    pid === undefined ? answers(socketPath) : startTicks !== undefined && isAlive({ pid, startTicks });
  while (await isThere()) {
    if (performance.now() > deadline) {
      throw new BangerError('TIMEOUT', `the daemon did not end within ${STOP_TIMEOUT_MS / 1000} s`, { logPath: daemonLogPath });
    }
    await sleep(POLL_MS);
  }
  return true;
}

/** Replaces the running daemon by one of this build. */
export async function restartDaemon(caller: Caller): Promise<void> {
  await stopDaemon(caller);
  await startDaemon(caller);
}
