import { PassThrough, Writable } from 'node:stream';
import { writeAll } from './send.ts';
import type { Api } from './api.ts';
import type { Caller } from './caller.ts';
import { type CopyProcess, endedSilently, findCopyProgram, missing, startCopyProcess } from './copy-process.ts';
import { type CopyPlan, type CopySide, encodePath, nameInDirectory } from './copy-sides.ts';
import { type CopyTalk, createCopyTalk, guestError, hostError } from './copy-talk.ts';
import { inputFailure, runSession } from './exec-session.ts';

/** The guest agent itself can copy; the guest starts it like any command. */
const AGENT = ['/proc/self/exe', 'copy'];

export type CopyOptions = {
  /** Keeps numeric owners and setuid bits. */
  archive: boolean;
  /** The input if the source is a stream. */
  input?: AsyncIterable<Uint8Array>;
  /** The output if the target is a stream. */
  output?: NodeJS.WritableStream;
  /** Gets the number of the VM's sessions if the copy has to wait for one of them to end. */
  onWait?: (sessions: number) => void;
  /** Gets the progress. */
  listener: CopyListener;
  /** Cancels the copy; incomplete files are removed. */
  signal?: AbortSignal;
};

export type CopyListener = {
  /** Something of the source was left out, or changed during the copy. */
  note(text: string): void;
  /** The estimated total. */
  total(bytes: number): void;
  /** This many more bytes were copied. */
  moved(bytes: number): void;
};

/** What a copy works with. */
export type CopyMeans = { api: Pick<Api, 'exec'>; caller: Pick<Caller, 'env' | 'programPath'> };

/**
 * Copies between this host and a guest, by the rules of cp(1) (docs/copying.md). The guest is not trusted: nothing that it sends is written
 * outside the target.
 * @throws NOT_FOUND, NOT_PERMITTED, NO_SPACE, INVALID_INPUT for this host's side, GUEST_FILE for the guest's, and the daemon's errors
 */
export async function copy(means: CopyMeans, { from, to }: CopyPlan, options: CopyOptions): Promise<void> {
  const talks = { host: createCopyTalk(options.listener), guest: createCopyTalk(options.listener) };
  if (to.kind === 'guest') await copyIn(means, from, to, { options, talks });
  else if (from.kind === 'guest') await copyOut(means, from, to, { options, talks });
}

type GuestSide = Extract<CopySide, { kind: 'guest' }>;
type Work = { options: CopyOptions; talks: { host: CopyTalk; guest: CopyTalk } };

function sendWords(from: CopySide): string[] {
  if (from.kind === 'stream') return ['send', '--stdin'];
  return ['send', `--from=${encodePath(from.bytes)}`, `--name=${encodePath(nameInDirectory(from.bytes))}`];
}

function receiveWords(from: CopySide, to: CopySide, { archive }: CopyOptions): string[] {
  if (to.kind === 'stream') return ['receive', '--stdout'];
  const name = from.kind === 'stream' ? '' : encodePath(nameInDirectory(from.bytes));
  const trust = to.kind === 'host' ? ['--beneath'] : [];
  return ['receive', `--to=${encodePath(to.bytes)}`, `--name=${name}`, ...trust, ...(archive ? ['--owners'] : [])];
}

async function copyIn({ api, caller }: CopyMeans, from: CopySide, to: GuestSide, { options, talks }: Work): Promise<void> {
  const program = findCopyProgram(caller);
  const socket = await api.exec(to.vm, { argv: [...AGENT, ...receiveWords(from, to, options)] }, options.onWait, options.signal);
  const sender = startCopyProcess(program, caller, sendWords(from));
  try {
    const fed = from.kind === 'stream' ? feed(sender, options.input ?? []) : void sender.stdin.end();
    const input = chunksOf(sender, talks.host, { moved: options.listener.moved, fed });
    const ending = await runSession(socket, { input, output: new PassThrough().resume(), errors: sinkOf(talks.guest) });
    if (ending.status !== 0) throw guestError(to.vm, talks.guest, ending);
  } finally {
    sender.end();
  }
}

/** The output of a sender on this host. It fails if the sender fails, so that the other end never takes a part for the whole. */
async function* chunksOf(
  sender: CopyProcess,
  talk: CopyTalk,
  { moved, fed }: { moved(bytes: number): void; fed: Promise<void> | void },
): AsyncGenerator<Buffer> {
  sender.stderr.on('data', (chunk: Buffer) => talk.take(chunk));
  for await (const chunk of sender.stdout as AsyncIterable<Buffer>) {
    yield chunk;
    moved(chunk.length);
  }
  await fed;
  await settle(sender, talk);
}

/** @throws the sender's or receiver's error */
async function settle(program: CopyProcess, talk: CopyTalk): Promise<void> {
  const { exitCode, signal, startError } = await program.ended;
  const said = talk.error();
  if (said !== undefined) throw hostError(said);
  if (startError !== undefined) throw missing('banger-copy', startError);
  if (exitCode !== 0) throw endedSilently({ exitCode, signal }, talk.rest());
}

/** @throws GUEST_FILE if the input fails; then the sender is ended, so that it cannot take the failure for the end of the input */
function feed(program: CopyProcess, input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  program.stdin.on('error', () => undefined);
  const feeding = (async () => {
    try {
      for await (const chunk of input) {
        // Do not read endless input for a program that has ended.
        if (program.stdin.destroyed) break;
        await writeAll(program.stdin, chunk).catch(() => undefined);
      }
      program.stdin.end();
    } catch (error) {
      program.end();
      throw inputFailure(error);
    }
  })();
  feeding.catch(() => undefined);
  return feeding;
}

async function copyOut({ api, caller }: CopyMeans, from: GuestSide, to: CopySide, { options, talks }: Work): Promise<void> {
  const program = findCopyProgram(caller);
  const socket = await api.exec(from.vm, { argv: [...AGENT, ...sendWords(from)] }, options.onWait, options.signal);
  const receiver = startCopyProcess(program, caller, receiveWords(from, to, options));
  const stdout = pump(receiver, to.kind === 'stream' ? options.output : undefined);
  try {
    receiver.stderr.on('data', (chunk: Buffer) => talks.host.take(chunk));
    const output = inputOf(receiver, options.listener.moved);
    const session = runSession(socket, { input: undefined, output, errors: sinkOf(talks.guest) });
    // A receiver that gives up ends the exchange; its message explains the broken pipe.
    const [sent] = await Promise.allSettled([Promise.race([session, failureOf(receiver, talks.host)])]);
    session.catch(() => undefined);
    if (sent.status === 'rejected') throw sent.reason;
    if (sent.value.status !== 0) throw guestError(from.vm, talks.guest, sent.value);
    receiver.stdin.end();
    await settle(receiver, talks.host);
    await stdout;
  } finally {
    // The end of its input before the end of the copy makes it remove incomplete files.
    receiver.stdin.destroy();
    await receiver.ended;
  }
}

/** Never settles unless something fails. */
function failureOf(receiver: CopyProcess, talk: CopyTalk): Promise<never> {
  return new Promise((_, reject) => {
    void receiver.ended.then(() => settle(receiver, talk)).catch(reject);
  });
}

/** The input of a receiver on this host. The receiver's exit tells how it ended, not the sender's EPIPE. */
function inputOf(receiver: CopyProcess, moved: (bytes: number) => void): Writable {
  receiver.stdin.on('error', () => undefined);
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      moved(chunk.length);
      receiver.stdin.write(chunk, () => done());
    },
  });
}

async function pump(program: CopyProcess, output: NodeJS.WritableStream | undefined): Promise<void> {
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) if (output !== undefined) await writeAll(output, chunk);
}

function sinkOf(talk: CopyTalk): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      talk.take(chunk);
      done();
    },
  });
}
