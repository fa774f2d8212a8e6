// What a command works with: streams, environment, the daemon. Tests pass others.
import type { Api } from '../client/api.ts';
import { type Caller, directoriesOf } from '../client/caller.ts';
import { isSet } from '../lib/is-set.ts';
import { reachDaemon } from '../client/daemon-send.ts';
import { type Endpoint, resolveEndpoint } from '../client/endpoint.ts';
import { guarded } from './render/text.ts';
import type { Input, Output } from './streams.ts';

export type Cli = Caller & {
  stdin: Input;
  stdout: Output;
  stderr: Output;
  /** The help of the running command. */
  helpCommand: string;
  /** The exit status of the program. */
  exitCode: number;
  /** The daemon that this command line talks to. @throws CONFIG_INVALID, NOT_FOUND if BANGER_HOST or the context is wrong */
  endpoint(): Endpoint;
  /** Sets the value of `--context`. It overrides the environment, also for programs that the CLI starts. */
  useContext(name: string): void;
  /** The daemon; the first request starts it if it does not run. */
  api(): Api;
  /** The daemon if it runs. Starts and restarts nothing. */
  runningApi(): Api;
  /** Prints a line of data. */
  print(line: string): void;
};

export type CliStreams = Pick<Cli, 'env' | 'stdin' | 'stdout' | 'stderr' | 'programPath'>;

/** @returns the context of one command line */
export function createCli(streams: CliStreams): Cli {
  const env = { ...streams.env };
  let api: Api | undefined;
  let endpoint: Endpoint | undefined;
  const reach = (autostart: boolean): Api => reachDaemon(cli, cli.endpoint(), { autostart });
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
