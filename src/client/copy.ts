import { PassThrough, Writable } from 'node:stream';
import { writeAll } from './send.ts';
import type { Api } from './api.ts';
import type { Caller } from './caller.ts';
import { type CopyProcess, endedSilently, findCopyProgram, missing, startCopyProcess } from './copy-process.ts';
import { type CopyPlan, type CopySide, encodePath, nameInDirectory } from './copy-sides.ts';
import { type CopyTalk, createCopyTalk, guestError, hostError } from './copy-talk.ts';
import { inputFailure, runSession } from './exec-session.ts';

/** The agent itself knows how to copy; the guest starts it like every command. */
const AGENT = ['/proc/self/exe', 'copy'];

export type CopyOptions = {
  /** Numbers of owners and setuid bits are kept. */
  archive: boolean;
  /** What is copied when the source is a stream. */
  input?: AsyncIterable<Uint8Array>;
  /** What is copied into when the target is a stream. */
  output?: NodeJS.WritableStream;
  /** Told how many sessions the VM has when the copy has to wait for one of them to end. */
  onWait?: (sessions: number) => void;
  /** Told how it goes. */
  listener: CopyListener;
  /** Ends the copy; what is not whole is taken back. */
  signal?: AbortSignal;
};

export type CopyListener = {
  /** Something of the source was left out, or changed on the way. */
  note(text: string): void;
  /** About so many bytes there will be. */
  total(bytes: number): void;
  /** So many bytes more have gone. */
  moved(bytes: number): void;
};

/** What a copy is done with. */
export type CopyMeans = { api: Pick<Api, 'exec'>; caller: Pick<Caller, 'env' | 'programPath'> };

/**
 * Copies between this host and a guest, by the rules of cp(1) (docs/copying.md). The guest is not trusted: nothing it sends
 * is written outside of the target.
 * @throws NOT_FOUND, NOT_PERMITTED, NO_SPACE, INVALID_INPUT for this host's side, GUEST_FILE for the guest's, and what the daemon answers
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

/** The stream of a sender on this host; it fails as the sender does, so that the other end never takes a part for the whole. */
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

/** @throws GUEST_FILE when the input fails; the sender is ended then, so that it cannot take the failure for the end */
function feed(program: CopyProcess, input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  program.stdin.on('error', () => undefined);
  const feeding = (async () => {
    try {
      for await (const chunk of input) {
        // What never ends is not read for a program that has.
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
    // A receiver that gives up ends the exchange; what it said explains the broken pipe.
    const [sent] = await Promise.allSettled([Promise.race([session, failureOf(receiver, talks.host)])]);
    session.catch(() => undefined);
    if (sent.status === 'rejected') throw sent.reason;
    if (sent.value.status !== 0) throw guestError(from.vm, talks.guest, sent.value);
    receiver.stdin.end();
    await settle(receiver, talks.host);
    await stdout;
  } finally {
    // Before it has seen the end of the copy, the end of its input makes it take back what is not whole.
    receiver.stdin.destroy();
    await receiver.ended;
  }
}

/** Never settles while all is well. */
function failureOf(receiver: CopyProcess, talk: CopyTalk): Promise<never> {
  return new Promise((_, reject) => {
    void receiver.ended.then(() => settle(receiver, talk)).catch(reject);
  });
}

/** Input of a receiver on this host. Its exit tells how it ended, not our EPIPE. */
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
