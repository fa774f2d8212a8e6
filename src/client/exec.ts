// Runs commands in a guest for programs: their output is collected, or goes to the program's streams.
import { Writable } from 'node:stream';
import type { ExecBody } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import type { Api } from './api.ts';
import { createSession, type GuestSession, type SessionExit } from './exec-session.ts';
import { given } from '../lib/given.ts';

/** Input for a guest: text, bytes, or a stream of them. */
export type Content = string | Uint8Array | AsyncIterable<Uint8Array | string>;

export type CommandOptions = {
  env?: Record<string, string>;
  /** Absolute directory in the guest; default: the user's home. */
  cwd?: string;
  /** In the guest; default: root. */
  user?: string;
  /** Gives the command a terminal; then all output goes to stdout. */
  tty?: boolean | { rows: number; columns: number };
  /** Gets the number of the VM's sessions if the command has to wait for one of them to end. */
  onWait?: (sessions: number) => void;
  /** Ends the command. */
  signal?: AbortSignal;
};

export type ExecOptions = CommandOptions & {
  /** Default: none, so that the command reads the end of input at once. */
  stdin?: Content;
  /** Default: collected, and returned as text. */
  stdout?: NodeJS.WritableStream;
  stderr?: NodeJS.WritableStream;
  /** How many bytes of each are collected; default 16 MiB. */
  maxOutputBytes?: number;
};

export type ExecResult = SessionExit & {
  /** Empty if the output went to a stream. */
  stdout: string;
  stderr: string;
};

const MAX_OUTPUT_BYTES = 16 * 1024 ** 2;

/**
 * Runs a command until it ends. A status other than 0 is not an error of banger: the command ran.
 * @param argv program and arguments; no shell is involved
 * @throws PAYLOAD_TOO_LARGE if it prints more than is collected, CANCELLED after an abort, AGENT_UNREACHABLE if the connection ends before
 * the command
 */
export async function exec(api: Api, name: string, argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const limit = options.maxOutputBytes ?? MAX_OUTPUT_BYTES;
  const [stdout, stderr] = [keep(limit), keep(limit)];
  const session = await openExec(api, name, argv, options);
  const exit = await session.run({
    input: options.stdin === undefined ? undefined : streamOf(options.stdin),
    output: options.stdout ?? stdout.stream,
    errors: options.stderr ?? stderr.stream,
  });
  return { ...exit, stdout: stdout.text(), stderr: stderr.text() };
}

/** Starts a command. @returns its session, which moves the streams and takes signals and the size of a terminal */
export async function openExec(api: Api, name: string, argv: readonly string[], options: CommandOptions = {}): Promise<GuestSession> {
  return createSession(await api.exec(name, bodyOf(argv, options), options.onWait, options.signal));
}

function bodyOf(argv: readonly string[], { env, cwd, user, tty = false }: CommandOptions): ExecBody {
  const terminal = tty === false ? {} : { tty: true, ...(tty === true ? {} : { rows: tty.rows, columns: tty.columns }) };
  return {
    argv: [...argv],
    ...given({ env, cwd, user }),
    ...terminal,
  };
}

/** @returns the bytes of it */
export async function* streamOf(content: Content): AsyncGenerator<Uint8Array> {
  const pieces = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
  for await (const piece of pieces) yield typeof piece === 'string' ? Buffer.from(piece) : piece;
}

/** A guest may print without end. */
function keep(limitBytes: number): { stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > limitBytes) return done(tooMuch(limitBytes));
      chunks.push(chunk);
      done();
    },
  });
  // The writer gets the error.
  stream.on('error', () => undefined);
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

function tooMuch(limitBytes: number): BangerError {
  return new BangerError('PAYLOAD_TOO_LARGE', `the command printed more than ${limitBytes} bytes`, {
    remedy: 'pass a stream for the output, or a larger maxOutputBytes',
    details: { limitBytes },
  });
}
