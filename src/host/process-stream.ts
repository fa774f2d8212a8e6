// stdin and stdout of a program as one stream, which is used like a socket.
import type { Readable, Writable } from 'node:stream';
import { Duplex } from 'node:stream';
import { spawnPiped } from './spawn.ts';

/** How the program ended before it had said anything. */
export type StreamEnding = { exitCode: number | null; signal: NodeJS.Signals | null; startError: string | undefined; stderr: string };

/** A program with pipes for all that it reads and writes. */
export type PipedProcess = {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /** Settles when it has ended and all it wrote has been read. */
  ended: Promise<Omit<StreamEnding, 'stderr'>>;
  end(): void;
};

const KEPT_STDERR_CHARS = 8192;

/**
 * @param env the whole environment of the program
 * @param explain makes the stream's error when the program ends before its first byte
 */
export function openProcessStream(argv: readonly string[], env: NodeJS.ProcessEnv, explain: (ending: StreamEnding) => Error): Duplex {
  const child = spawnPiped(argv, env);
  const { stdin, stdout } = child;
  let stderr = '';
  let hasSpoken = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-KEPT_STDERR_CHARS)));
  const stream = new Duplex({
    // As a socket: what is over at one end is over.
    allowHalfOpen: false,
    read: () => void stdout.resume(),
    // That it reads no more is told by how it ends.
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, () => done()),
    final: (done) => void stdin.end(() => done()),
    destroy: (error, done) => {
      stdin.destroy();
      stdout.destroy();
      child.end();
      done(error);
    },
  });
  stdin.on('error', () => undefined);
  stdout.on('data', (chunk: Buffer) => {
    hasSpoken = true;
    if (!stream.push(chunk)) stdout.pause();
  });
  void child.ended.then((ending) => {
    if (stream.destroyed) return;
    if (hasSpoken) stream.push(null);
    else stream.destroy(explain({ ...ending, stderr }));
  });
  stdout.resume();
  return stream;
}
