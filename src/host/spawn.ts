// The only module that starts host processes; tools/import-rules.ts holds this.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { constants } from 'node:os';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { armEndings, collectOutput, type CommandStreams, endGroup, feed } from './command-streams.ts';
import { startTicksOf } from './processes.ts';
import type { ProcessIdentity } from './processes.ts';
import { given } from '../lib/given.ts';

/** How the program ended before its answer began; `stdout` is what it printed instead. */
export type StreamEnding = {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  startError: string | undefined;
  stdout: string;
  stderr: string;
  /** It runs on, but has printed something else and then nothing for too long. */
  silentMs?: number;
};

/** A program with pipes for its input and output. */
export type PipedProcess = {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /** Settles once it has ended and all its output was read. */
  ended: Promise<Omit<StreamEnding, 'stdout' | 'stderr'>>;
  end(): void;
};

/** How a command ended. */
export type CommandOutcome = {
  argv: readonly string[];
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  timedOut: boolean;
  cancelled: boolean;
  stdout: string;
  /** The last 8 KiB. */
  stderr: string;
};

/** A command that did not start, exited with a status other than 0, was too slow, or was cancelled. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly outcome: CommandOutcome;
  /** ENOENT and the like if the program did not start. */
  readonly startError: string | undefined;

  constructor(outcome: CommandOutcome, startError?: string) {
    super(describe(outcome, startError));
    this.outcome = outcome;
    this.startError = startError;
  }
}

function describe(o: CommandOutcome, startError: string | undefined): string {
  const program = o.argv[0] ?? '?';
  if (startError !== undefined) return `${program} could not be started (${startError})`;
  if (o.timedOut) return `${program} took too long and was ended`;
  if (o.cancelled) return `${program} was cancelled`;
  const how = o.signal === null ? `ended with status ${o.exitCode}` : `was ended by ${o.signal}`;
  const lastLine = o.stderr.trim().split('\n').at(-1) ?? '';
  return lastLine === '' ? `${program} ${how}` : `${program} ${how}: ${lastLine}`;
}

export type RunOptions = CommandStreams & {
  /** The whole environment of the command; default: PATH, HOME, TMPDIR, LANG=C and proxies of the daemon. */
  env?: Record<string, string>;
  cwd?: string;
  /** The command's descriptors 3, 4, …: descriptors of this process, or new pipes. */
  handles?: readonly (number | 'pipe')[];
  /**
   * Called with this process's ends of the pipes, null for other descriptors. If it throws, the command is ended, and its error is thrown.
   */
  onStarted?: (streams: readonly (Readable | Writable | null | undefined)[]) => Promise<void>;
};

/** @returns the environment of commands: only what tools need, always in the C locale */
export function commandEnvironment(): Record<string, string> {
  const kept: Record<string, string> = { LANG: 'C.UTF-8', PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` };
  for (const name of ['HOME', 'USER', 'TMPDIR', 'http_proxy', 'https_proxy', 'no_proxy', 'SSL_CERT_FILE']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/**
 * Runs a command to its end, in a process group of its own, which a cancel or a time-out ends as a whole.
 * @param argv program and arguments; no shell is involved
 * @returns stdout and the tail of stderr
 * @throws CommandFailure if it does not exit with 0
 */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<CommandOutcome> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('empty argv');
  return new Promise((resolve, reject) => {
    const outcome: CommandOutcome = { argv, exitCode: null, signal: null, timedOut: false, cancelled: false, stdout: '', stderr: '' };
    if (options.signal?.aborted === true) {
      outcome.cancelled = true;
      reject(new CommandFailure(outcome));
      return;
    }
    const child = spawn(program, args, {
      env: options.env ?? commandEnvironment(),
      ...given({ cwd: options.cwd }),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(options.handles ?? [])],
      detached: true,
    });
    const disarm = armEndings(child, outcome, options);
    collectOutput(child, outcome, options);
    child.on('error', (error: NodeJS.ErrnoException) => {
      disarm();
      reject(new CommandFailure(outcome, error.code ?? error.message));
    });
    child.on('close', (exitCode, signal) => {
      disarm();
      outcome.exitCode = exitCode;
      outcome.signal = signal;
      if (failure !== undefined) reject(failure.error);
      else if (exitCode === 0 && !outcome.timedOut && !outcome.cancelled) resolve(outcome);
      else reject(new CommandFailure(outcome));
    });
    let failure: { error: unknown } | undefined;
    const fail = (error: unknown): void => {
      failure ??= { error };
      endGroup(child, 'SIGKILL');
    };
    if (options.input !== undefined && child.stdin !== null) feed(child.stdin, options.input, fail);
    if (child.pid !== undefined) startedWith(child, options).catch(fail);
  });
}

/** A pipe that the command has closed is no error of this process: the command's status counts. */
async function startedWith(child: ChildProcess, { onStarted }: RunOptions): Promise<void> {
  const streams = child.stdio.slice(3);
  for (const stream of streams) stream?.on('error', () => undefined);
  await onStarted?.(streams);
}

export type DetachedOptions = {
  /** stdout and stderr are appended to this file (created 0600). */
  outputPath: string;
  /** Whether it reads from descriptor 3 what is written to `input`. */
  hasInput?: boolean;
  env?: Record<string, string>;
  cwd?: string;
};

/** A long-lived process that outlives the daemon. */
export type DetachedProcess = {
  identity: ProcessIdentity;
  /** Settles when the process ends, if this daemon is still its parent. */
  exited: Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>;
  input?: Duplex;
};

/**
 * Starts a process in a session of its own, which neither Ctrl-C nor the daemon's end affects.
 * @throws CommandFailure if it does not start
 */
export async function spawnDetached(argv: readonly string[], options: DetachedOptions): Promise<DetachedProcess> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('empty argv');
  const output = openSync(options.outputPath, 'a', 0o600);
  try {
    const stdio: StdioOptions = ['ignore', output, output, ...(options.hasInput === true ? ['pipe' as const] : [])];
    const child = spawn(program, args, {
      env: options.env ?? commandEnvironment(),
      ...given({ cwd: options.cwd }),
      stdio,
      detached: true,
    });
    const exited = new Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.on('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error: NodeJS.ErrnoException) => {
        const outcome = { argv, exitCode: null, signal: null, timedOut: false, cancelled: false, stdout: '', stderr: '' };
        reject(new CommandFailure(outcome, error.code ?? error.message));
      });
    });
    child.unref();
    const pid = child.pid ?? 0;
    const input = child.stdio[3];
    return { identity: { pid, startTicks: startTicksOf(pid) ?? 0 }, exited, ...(input instanceof Duplex && { input }) };
  } finally {
    closeSync(output);
  }
}

/** A process of banger that gets messages, connections and listening sockets, and ends with its parent. */
export type Channel<Sent, Received> = {
  /** @returns whether the message is on its way; only then may the caller close the handle */
  send(message: Sent, handle?: Socket | Server): Promise<boolean>;
  onMessage(listener: (message: Received) => void): void;
  /** Called when it has ended, or did not start. */
  onEnd(listener: () => void): void;
  /** Closes the channel, which ends it. */
  end(): void;
};

/** @param argv a Node and a script that ends when its channel closes */
export function spawnChannel<Sent extends object, Received>(argv: readonly string[]): Channel<Sent, Received> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('empty argv');
  // A group of its own, so that Ctrl-C for a daemon in the foreground reaches only the daemon.
  const child = spawn(program, args, { env: commandEnvironment(), stdio: ['ignore', 'ignore', 'ignore', 'ipc'], detached: true });
  child.on('error', () => undefined);
  return {
    send: (message, handle) =>
      new Promise((resolve) => {
        if (child.connected) child.send(message, handle, (error) => resolve(error === null));
        else resolve(false);
      }),
    onMessage: (listener) => void child.on('message', (message) => listener(message as Received)),
    onEnd: (listener) => void child.once('exit', listener).once('error', listener),
    end() {
      if (child.connected) child.disconnect();
    },
  };
}

/**
 * Runs a program on the user's own terminal. It shares stdin, stdout, stderr and the process group, so that Ctrl-C and job control reach
 * it. Only for commands that a person started (ssh), never in the daemon.
 * @returns its exit status, 128+n when signal n ended it
 * @throws CommandFailure when it cannot be started
 */
export function runForeground(argv: readonly string[], env: Record<string, string | undefined>): Promise<number> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('empty argv');
  // The foreground program handles these signals; if this process ended before it, the program would keep the terminal without a parent.
  const ignored: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
  const ignore = (): void => undefined;
  return new Promise<number>((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: 'inherit' });
    for (const signal of ignored) process.on(signal, ignore);
    child.on('error', (error: NodeJS.ErrnoException) => {
      const outcome = { argv, exitCode: null, signal: null, timedOut: false, cancelled: false, stdout: '', stderr: '' };
      reject(new CommandFailure(outcome, error.code ?? error.message));
    });
    child.on('exit', (exitCode, signal) => resolve(exitCode ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  }).finally(() => {
    for (const signal of ignored) process.off(signal, ignore);
  });
}

/**
 * Starts a program and pipes bytes through its stdin and stdout; it ends with this process, or on request.
 * @param env its whole environment
 */
export function spawnPiped(argv: readonly string[], env: NodeJS.ProcessEnv): PipedProcess {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env, stdio: 'pipe' });
  let startError: string | undefined;
  const ended = new Promise<Awaited<PipedProcess['ended']>>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => (startError ??= error.code ?? error.message));
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, startError }));
  });
  return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, ended, end: () => void child.kill() };
}
