// What a command has in its hands: streams, environment, the daemon. Tests hand in others.
import { homedir } from 'node:os';
import { type Api, createApi } from '../client/api.ts';
import { type Directories, resolveDirectories } from '../lib/directories.ts';
import { isSet } from '../lib/is-set.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { BangerError } from '../model/errors.ts';
import { createDaemonSend, createRemoteSend } from '../client/daemon-send.ts';
import { type Endpoint, resolveEndpoint } from '../client/endpoint.ts';
import { guarded } from './render/text.ts';

export type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number };
export type Input = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(on: boolean): unknown };

export type Cli = {
  env: Readonly<Record<string, string | undefined>>;
  stdin: Input;
  stdout: Output;
  stderr: Output;
  /** Absolute path of the script that runs, to start ourselves again and to find the daemon beside it. */
  programPath: string;
  /** The help of the command that runs. */
  helpCommand: string;
  /** The status that the program ends with. */
  exitCode: number;
  /** @throws CONFIG_INVALID when a variable does not make sense */
  directories(): Directories;
  /** Whose daemon this command line is about. @throws CONFIG_INVALID, NOT_FOUND when BANGER_HOST or the context make no sense */
  endpoint(): Endpoint;
  /** What `--context` says: it goes before the environment, also for programs that we start. */
  useContext(name: string): void;
  /** The daemon; the first request starts it when none runs. */
  api(): Api;
  /** The daemon if it runs; nothing is started or restarted. */
  runningApi(): Api;
  /** A line of data. */
  print(line: string): void;
  /** A line about what happens, on stderr. */
  note(line: string): void;
};

export type CliStreams = Pick<Cli, 'env' | 'stdin' | 'stdout' | 'stderr' | 'programPath'>;

/** @returns the context of one command line */
export function createCli(streams: CliStreams): Cli {
  const env = { ...streams.env };
  let api: Api | undefined;
  let endpoint: Endpoint | undefined;
  const reach = (autostart: boolean): Api => {
    const where = cli.endpoint();
    return createApi(where.kind === 'local' ? createDaemonSend(cli, { autostart }) : createRemoteSend(cli, where));
  };
  const cli: Cli = {
    env,
    stdout: streams.stdout,
    stderr: streams.stderr,
    programPath: streams.programPath,
    get stdin() {
      return streams.stdin;
    },
    helpCommand: 'banger --help',
    exitCode: 0,
    directories: () => directoriesOf(env),
    endpoint: () => (endpoint ??= resolveEndpoint(env, cli.directories().configPath)),
    useContext(name) {
      env['BANGER_CONTEXT'] = name;
      delete env['BANGER_HOST'];
    },
    api: () => (api ??= reach(!isSet(env['BANGER_NO_AUTOSTART']))),
    runningApi: () => reach(false),
    print: (line) => void streams.stdout.write(`${guarded(line)}\n`),
    note: (line) => void streams.stderr.write(`${guarded(line)}\n`),
  };
  return cli;
}

function directoriesOf(env: Cli['env']): Directories {
  try {
    return resolveDirectories(env, env['HOME'] ?? homedir(), process.getuid?.() ?? 0);
  } catch (error) {
    if (error instanceof PlaceProblem) throw new BangerError('CONFIG_INVALID', error.message, { remedy: error.remedy });
    throw error;
  }
}
