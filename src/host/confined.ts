// The only way to run a program that reads what a guest or a stranger wrote. It cannot harm the host: it has namespaces of its own, a root
// with nothing but programs, no privileges, no network, and limits on all resources.
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { type Confinement, confine, numberDescriptors, systemDirectories } from './confinement.ts';
import { findProgram } from './files.ts';
import { CONFINED_BASE, mapIds, NoIdRange } from './id-mapping.ts';
import { CommandFailure, type CommandOutcome, commandEnvironment, run, type RunOptions } from './spawn.ts';
import { syscallFilter } from './syscall-filter.ts';
import { messageOf } from '../lib/message-of.ts';

export type ConfinedOptions = Pick<RunOptions, 'signal' | 'timeoutMs' | 'input' | 'maxStdoutBytes' | 'onLine'>;

/** The first output of bubblewrap: the process whose id mapping is to be written. */
const MOST_SAID_BYTES = 4096;

/**
 * Runs a program to its end, isolated from the host. A daemon that is root gives it otherwise unused ids.
 * @throws CommandFailure if it does not exit with 0, a signal ends it, or it cannot be confined; it never runs unconfined
 */
export async function runConfined(
  argv: readonly string[],
  confinement: Confinement,
  options: ConfinedOptions = {},
): Promise<CommandOutcome> {
  const filter = syscallFilter();
  const descriptors = numberDescriptors(confinement, filter !== undefined);
  const command = [...asNobody(), ...confine(argv, confinement, descriptors, systemDirectories())];
  const files: FileHandle[] = [];
  const copies: FileHandle[] = [];
  let restore: (() => Promise<void>) | undefined;
  try {
    for (const path of confinement.files ?? []) files.push(await open(path, 'r+'));
    for (const path of confinement.copies?.values() ?? []) copies.push(await open(path, 'r'));
    restore = await lend(files);
    return await run(command, {
      ...options,
      env: commandEnvironment(),
      handles: [
        ...[...files, ...copies].map(({ fd }) => fd),
        ...(filter === undefined ? [] : (['pipe'] as const)),
        ...(descriptors.mapping === undefined ? [] : (['pipe', 'pipe'] as const)),
      ],
      onStarted: async (streams) => {
        const pipes = streams.filter((stream) => stream !== null && stream !== undefined);
        if (filter !== undefined) (pipes.shift() as Writable).end(filter);
        const [said, awaited] = pipes as [Readable?, Writable?];
        if (said !== undefined && awaited !== undefined) await answerMapping(said, awaited, options.signal);
      },
    });
  } catch (error) {
    throw error instanceof CommandFailure ? ofProgram(error, argv) : error;
  } finally {
    await restore?.();
    await Promise.all([...files, ...copies].map((file) => file.close()));
  }
}

/** @returns the prefix of the command for a daemon that is root, so that no program runs as root, not even bubblewrap */
function asNobody(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ['setpriv', `--reuid=${CONFINED_BASE}`, `--regid=${CONFINED_BASE}`, '--clear-groups', '--inh-caps=-all', '--'];
}

/** Gives root's files to the ids of the program while it runs. @returns a function that gives them back */
async function lend(files: readonly FileHandle[]): Promise<() => Promise<void>> {
  if (process.getuid?.() !== 0) return () => Promise.resolve();
  const owners = await Promise.all(files.map(async (file) => ({ file, stats: await file.stat() })));
  for (const { file } of owners) await file.chown(CONFINED_BASE, CONFINED_BASE);
  return async () => {
    for (const { file, stats } of owners) {
      await file.chown(stats.uid, stats.gid);
      // Changing the owner clears bits of the mode.
      await file.chmod(stats.mode & 0o7777);
    }
  };
}

async function answerMapping(said: Readable, awaited: Writable, signal?: AbortSignal): Promise<void> {
  let text = '';
  for await (const chunk of said.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    const pid = /"child-pid"\s*:\s*(\d+)[^]*\}/.exec(text)?.[1];
    if (pid !== undefined) {
      await mapIds(Number(pid), signal);
      break;
    }
    if (text.length > MOST_SAID_BYTES) break;
  }
  awaited.end('.');
}

/** bubblewrap exits with 128 and the signal's number if a signal ended the program. A script's name is its `$0`. */
function ofProgram(error: CommandFailure, words: readonly string[]): CommandFailure {
  const named = words[0] === 'sh' ? words.slice(words.indexOf('-c') + 2) : words;
  const argv = named.length === 0 ? words : named;
  const { exitCode } = error.outcome;
  const signal = Object.entries(constants.signals).find(([, number]) => exitCode === 128 + number)?.[0] as NodeJS.Signals | undefined;
  const outcome = { ...error.outcome, argv, ...(signal === undefined ? {} : { exitCode: null, signal }) };
  if (error.startError !== undefined) return new CommandFailure({ ...outcome, argv: ['bwrap'] }, error.startError);
  return exitCode === 127 ? new CommandFailure(outcome, 'ENOENT') : new CommandFailure(outcome);
}

/** The reason why this host cannot confine programs, with the remedy. */
export type ConfinementProblem = { reason: string; remedy: string };

const PROBE_TIMEOUT_MS = 20_000;

/** @returns undefined if programs can be confined; none ever runs unconfined */
export async function confinementProblem(ids: 'one' | 'many' = 'one'): Promise<ConfinementProblem | undefined> {
  if ((await findProgram('bwrap', commandEnvironment()['PATH'] ?? '')) === undefined) {
    return { reason: 'bwrap, which confines programs that read foreign data, is not installed', remedy: 'sudo apt-get install bubblewrap' };
  }
  try {
    await runConfined(['true'], { ids }, { timeoutMs: PROBE_TIMEOUT_MS });
    return undefined;
  } catch (error) {
    return explain(error);
  }
}

function explain(error: unknown): ConfinementProblem {
  if (error instanceof NoIdRange) {
    const remedy = 'sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$USER"';
    return { reason: error.message, remedy };
  }
  if (error instanceof CommandFailure && error.startError === 'ENOENT') {
    const program = error.outcome.argv[0] ?? 'prlimit';
    const isMapper = program === 'newuidmap' || program === 'newgidmap';
    return { reason: `${program} is not installed`, remedy: `sudo apt-get install ${isMapper ? 'uidmap' : 'util-linux'}` };
  }
  return {
    reason: `programs that read foreign data cannot be confined here: ${messageOf(error)}`,
    remedy: 'sudo sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1',
  };
}
