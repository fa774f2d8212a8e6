import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteReader } from './byte-reader.ts';

const DATA = 0;
const STDERR = 1;
const EOF = 2;
const RESIZE = 3;
const SIGNAL = 4;
const EXIT = 5;
const CLOSE = 6;
const SIGHUP = 1;
const STUCK_MS = 5;

export type Command =
  | { kind: 'exec'; argv: string[]; env: Record<string, string> }
  /** A process that runs until the host closes it. */
  | { kind: 'stream'; start?: (stream: Duplex) => void; onData?: (stream: Duplex, data: Buffer) => void };

type Outcome = { status: number; stdout?: string; stderr?: string; reason?: string };

export function writeFrame(stream: Duplex, type: number, payload: Buffer): void {
  for (let at = 0; at === 0 || at < payload.length; at += 65_535) {
    const part = payload.subarray(at, at + 65_535);
    const header = Buffer.from([type, 0, part.length >> 8, part.length & 0xff]);
    stream.write(Buffer.concat([header, part]));
  }
}

/**
 * Runs one session on a channel in frame state.
 * @returns whether the channel is in HTTP state again
 */
export async function runSession(reader: ByteReader, stream: Duplex, command: Command, isStuck = () => false): Promise<boolean> {
  const session = { exited: false };
  const exit = (outcome: Outcome): void => {
    if (session.exited) return;
    session.exited = true;
    if (outcome.stdout !== undefined) writeFrame(stream, DATA, Buffer.from(outcome.stdout));
    if (outcome.stderr !== undefined) writeFrame(stream, STDERR, Buffer.from(outcome.stderr));
    const status = Buffer.alloc(4);
    status.writeInt32BE(outcome.status);
    writeFrame(stream, EXIT, Buffer.concat([status, Buffer.from(outcome.reason ?? '')]));
  };
  const program = command.kind === 'exec' ? startProgram(command, stream, exit) : streamProgram(command, stream, exit);
  for (;;) {
    while (isStuck() && !stream.destroyed) await sleep(STUCK_MS);
    const header = await reader.exactly(4);
    const payload = header === undefined ? undefined : await reader.exactly(header.readUInt16BE(2));
    if (header === undefined || payload === undefined) {
      program.end(SIGHUP);
      return false;
    }
    const type = header[0] ?? CLOSE;
    if (type > CLOSE || header[1] !== 0) return false;
    if (type === CLOSE) {
      program.end(SIGHUP);
      return true;
    }
    if (!session.exited) program.take(type, payload);
  }
}

type Program = { take(type: number, payload: Buffer): void; end(signal: number): void };

function streamProgram(command: Extract<Command, { kind: 'stream' }>, stream: Duplex, exit: (outcome: Outcome) => void): Program {
  command.start?.(stream);
  return {
    take: (type, payload) => {
      if (type === DATA) command.onData?.(stream, payload);
      if (type === EOF) exit({ status: 0 });
    },
    end: () => exit({ status: 0 }),
  };
}

function startProgram(command: Extract<Command, { kind: 'exec' }>, stream: Duplex, exit: (outcome: Outcome) => void): Program {
  const [name = '', ...args] = command.argv;
  const end = (signal: number): void => exit({ status: 128 + signal });
  const take = (type: number, payload: Buffer): void => {
    if (type === SIGNAL) end(payload[0] ?? SIGHUP);
    if (type === RESIZE || name !== 'cat') return;
    if (type === DATA) writeFrame(stream, DATA, payload);
    if (type === EOF) exit({ status: 0 });
  };
  if (name === 'sleep') void sleep(Number(args[0]) * 1000, undefined, { ref: false }).then(() => exit({ status: 0 }));
  else if (name !== 'cat') exit(runBuiltin(name, args, command.env));
  return { take, end };
}

/** The few commands of a simulated guest. */
function runBuiltin(name: string, args: string[], env: Record<string, string>): Outcome {
  if (name === 'true') return { status: 0 };
  if (name === 'false') return { status: 1 };
  if (name === 'echo') return { status: 0, stdout: `${args.join(' ')}\n` };
  if (name === 'hostname') return { status: 0, stdout: `${env['HOSTNAME'] ?? ''}\n` };
  if (name === 'env')
    return {
      status: 0,
      stdout: Object.entries(env)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    };
  const script = name === 'sh' && args[0] === '-c' ? (args[1] ?? '') : undefined;
  if (script === undefined) return { status: 127, reason: `${name}: not found` };
  const exitStatus = /^exit (\d+)$/.exec(script)?.[1];
  if (exitStatus !== undefined) return { status: Number(exitStatus) };
  const echoed = /^echo (.*?)( >&2)?$/.exec(script);
  if (echoed === null) return { status: 2, stderr: `sh: the fake guest cannot run: ${script}\n` };
  return { status: 0, [echoed[2] === undefined ? 'stdout' : 'stderr']: `${echoed[1]}\n` };
}
