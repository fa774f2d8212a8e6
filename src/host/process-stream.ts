// stdin and stdout of a program as one stream, like a socket.
import { Duplex } from 'node:stream';
import { spawnPiped } from './spawn.ts';
import type { StreamEnding } from './spawn.ts';

export type ProcessStreamOptions = {
  /** Makes the stream's error if the program ends before its answer begins, or prints too much else. */
  explain: (ending: StreamEnding) => Error;
  /** Finds where the answer begins in the output so far, as latin1; -1 to wait for more. Default: at the first byte. */
  findStart?: (text: string) => number;
  /** How long the program may be silent after other output than the answer; default: for ever. Before any output there is no limit. */
  silentLimitMs?: number;
};

const KEPT_STDERR_CHARS = 8192;
/** The most that other programs may print before the answer begins. */
const MOST_NOISE_BYTES = 256 * 1024;

/** @param env the whole environment of the program */
export function openProcessStream(argv: readonly string[], env: NodeJS.ProcessEnv, options: ProcessStreamOptions): Duplex {
  const { explain, findStart = () => 0, silentLimitMs } = options;
  const child = spawnPiped(argv, env);
  const { stdin, stdout } = child;
  let stderr = '';
  // The output before the answer began; undefined from then on.
  let before: Buffer | undefined = Buffer.alloc(0);
  let silence: NodeJS.Timeout | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-KEPT_STDERR_CHARS)));
  const stream = new Duplex({
    // Like a socket: if one direction ends, both end.
    allowHalfOpen: false,
    read: () => void stdout.resume(),
    // If the program stops reading, its end shows it.
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, () => done()),
    final: (done) => void stdin.end(() => done()),
    destroy: (error, done) => {
      clearTimeout(silence);
      stdin.destroy();
      stdout.destroy();
      child.end();
      done(error);
    },
  });
  stdin.on('error', () => undefined);
  const fail = (ending: Omit<StreamEnding, 'stdout' | 'stderr'>): void =>
    void stream.destroy(explain({ ...ending, stdout: before?.toString('utf8') ?? '', stderr }));
  const goesOn = { exitCode: null, signal: null, startError: undefined };
  const begin = (bytes: Buffer): void => {
    clearTimeout(silence);
    const at = findStart(bytes.toString('latin1'));
    before = at < 0 ? bytes : undefined;
    if (at >= 0) return void stream.push(bytes.subarray(at));
    if (bytes.length > MOST_NOISE_BYTES) return fail(goesOn);
    if (silentLimitMs !== undefined) silence = setTimeout(() => fail({ ...goesOn, silentMs: silentLimitMs }), silentLimitMs);
  };
  stdout.on('data', (chunk: Buffer) => {
    if (before !== undefined) begin(Buffer.concat([before, chunk]));
    else if (!stream.push(chunk)) stdout.pause();
  });
  void child.ended.then((ending) => {
    if (stream.destroyed) return;
    if (before === undefined) stream.push(null);
    else fail(ending);
  });
  stdout.resume();
  return stream;
}
