// The input and output of a running command, and what ends it early.
import type { ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type CommandStreams = {
  signal?: AbortSignal;
  /** Default 60 000. */
  timeoutMs?: number;
  /** Written to stdin; without it, stdin is /dev/null. If the stream throws, the command is ended, and the stream's error is thrown. */
  input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** A longer output is an error; default 16 MiB. */
  maxStdoutBytes?: number;
  /** Called with every line of stdout and stderr as it arrives. */
  onLine?: (line: string) => void;
};

type Outcome = { stdout: string; stderr: string; timedOut: boolean; cancelled: boolean };

const KEPT_STDERR_BYTES = 8192;
/** Between SIGTERM and SIGKILL of a cancelled command's process group. */
const TERM_GRACE_MS = 2000;

/** If a command ends without reading its input, its exit status counts, not this process's EPIPE. */
export function feed(stdin: Writable, input: NonNullable<CommandStreams['input']>, onFailure: (error: unknown) => void): void {
  stdin.on('error', () => undefined);
  if (typeof input === 'string' || input instanceof Uint8Array) return void stdin.end(input);
  const tellFailure = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* input;
    } catch (error) {
      onFailure(error);
    }
  };
  void pipeline(tellFailure, stdin).catch(() => undefined);
}

/** @param outcome gets all of stdout, and the end of stderr */
export function collectOutput(child: ChildProcess, outcome: Outcome, options: CommandStreams): void {
  const limit = options.maxStdoutBytes ?? 16 * 1024 ** 2;
  child.stdout?.setEncoding('utf8');
  child.stderr?.setEncoding('utf8');
  let isOver = false;
  child.stdout?.on('data', (text: string) => {
    // It continues to write until it has ended.
    if (isOver) return;
    outcome.stdout += text;
    isOver = outcome.stdout.length > limit;
    if (!isOver) return;
    outcome.stderr += `\nmore than ${limit} bytes of output`;
    endGroup(child, 'SIGKILL');
  });
  child.stderr?.on('data', (text: string) => {
    outcome.stderr = (outcome.stderr + text).slice(-KEPT_STDERR_BYTES);
  });
  if (options.onLine !== undefined) {
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) splitLines(stream, options.onLine);
  }
}

function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/\r\n|[\r\n]/);
    rest = (lines.pop() ?? '').slice(-KEPT_STDERR_BYTES);
    for (const line of lines) onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

/** Ends the command if it takes too long or is cancelled. @returns a function that stops watching */
export function armEndings(child: ChildProcess, outcome: Outcome, options: CommandStreams): () => void {
  let killTimer: NodeJS.Timeout | undefined;
  const end = (): void => {
    endGroup(child, 'SIGTERM');
    killTimer = setTimeout(() => endGroup(child, 'SIGKILL'), TERM_GRACE_MS);
  };
  const timer = setTimeout(() => {
    outcome.timedOut = true;
    end();
  }, options.timeoutMs ?? 60_000);
  const onAbort = (): void => {
    outcome.cancelled = true;
    end();
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    clearTimeout(killTimer);
    options.signal?.removeEventListener('abort', onAbort);
  };
}

export function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already, which was the aim.
  }
}
