import type { ExecBody } from '../../../api/schemas.ts';
import { readVmReference } from '../../../model/reference.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand, newOption } from '../../command.ts';
import { createSession } from '../../../client/exec-session.ts';
import { reportError } from '../../render/error.ts';
import { safeLine } from '../../../lib/terminal-text.ts';
import { beginsWithDashes, nameAndCommand, SOLE_NAME } from '../../sole-vm.ts';
import { forwardSignals, takeTerminal, tellWait, windowOf } from '../../terminal.ts';
import { parseEnvironment, readEnvironmentFiles } from '../../values.ts';
import { given } from '../../../lib/given.ts';

/** The convention of docker and ssh: banger failed, not the command. */
export const OWN_FAILURE_EXIT = 125;

export function declareCommand(cli: Cli) {
  return newCommand('exec', "run a command in a virtual machine; exits with the command's status, or 125 if banger fails", [
    'banger vm exec web -- uname -a',
    'banger vm exec -it web bash',
    'banger vm exec -e CI=1 -w /srv -u dev web make test',
    'banger vm exec -d web -- python3 -m http.server 8000',
    'tar c src | banger vm exec web tar x -C /root',
  ])
    .argument('[name]', SOLE_NAME)
    .argument('[command...]', 'command and arguments; everything after the name belongs to them')
    .option('-i, --interactive', 'pass stdin on (always, unless stdin is a terminal)')
    .option('-t, --tty', 'give the command a terminal')
    .option('-e, --env <name=value>', 'set a variable; without =value, pass the local one on (may be repeated)', collect)
    .option('--env-file <file>', 'set the variables of a file, one NAME=VALUE per line (may be repeated)', collect)
    .option('-w, --cwd <directory>', 'working directory in the guest')
    .addOption(newOption('--workdir <directory>', 'the same').hideHelp())
    .option('-u, --user <user>', 'user in the guest (default: root)')
    .option('-d, --detach', 'run it in the background of the guest, without input and output')
    .passThroughOptions()
    .action(async (first, rest, flags, command) => {
      const words = first === undefined ? [] : [first, ...rest];
      try {
        if (words.length === 0) throw noCommand();
        const settings = execSettings(cli, flags);
        const target = await nameAndCommand(cli, words, beginsWithDashes(command));
        const { user, name } = readVmReference(target.name);
        if (target.command.length === 0) throw noCommand();
        const argv = flags.detach === true ? detachedArgv(target.command) : [...target.command];
        const body = { argv, ...given({ user }), ...settings };
        cli.exitCode = await execute(cli, name, body, flags.interactive === true && flags.detach !== true);
      } catch (error) {
        reportError(cli, error);
        cli.exitCode = guestFailureExit(error);
      }
    });
}

type ExecFlags = {
  tty?: true | undefined;
  detach?: true | undefined;
  env?: string[] | undefined;
  envFile?: string[] | undefined;
  cwd?: string | undefined;
  workdir?: string | undefined;
  user?: string | undefined;
};

function noCommand(): BangerError {
  return new BangerError('USAGE', 'no command', { remedy: 'banger vm exec NAME -- COMMAND' });
}

/**
 * A session of its own (setsid(1)), without terminal or pipes, outlives the session that starts it. A shell in the guest looks for the
 * command first, so that the user sees a typing error.
 */
function detachedArgv(argv: readonly string[]): string[] {
  const script = `command -v "$1" >/dev/null 2>&1 || { echo "$1: not found" >&2; exit 127; }
exec </dev/null >/dev/null 2>&1
if command -v setsid; then setsid "$@" & else (trap '' HUP; exec "$@") & fi`;
  return ['/bin/sh', '-c', script, 'sh', ...argv];
}

/** @throws INVALID_INPUT for a relative directory or a variable without a name, before the CLI contacts the daemon */
function execSettings(cli: Cli, flags: ExecFlags): Omit<ExecBody, 'argv'> {
  const cwd = flags.cwd ?? flags.workdir;
  if (cwd !== undefined && !cwd.startsWith('/')) {
    throw new BangerError('INVALID_INPUT', `--cwd: ${JSON.stringify(cwd)} is not an absolute path`, { remedy: 'begin it with /' });
  }
  const isTerminal = flags.tty === true && flags.detach !== true;
  const env = { ...readEnvironmentFiles(flags.envFile ?? [], cli.env), ...parseEnvironment('--env', flags.env ?? [], cli.env) };
  const term = cli.env['TERM'];
  if (isTerminal && term !== undefined) env['TERM'] ??= term;
  const [rows, columns] = windowOf(cli.stdout);
  return {
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...given({ cwd, user: flags.user }),
    ...(isTerminal ? { tty: true, rows, columns } : {}),
  };
}

async function execute(cli: Cli, name: string, body: ExecBody, interactive: boolean): Promise<number> {
  const isTerminal = cli.stdin.isTTY === true;
  if (body.tty === true && interactive && !isTerminal) {
    throw new BangerError('USAGE', 'stdin is not a terminal', { remedy: 'leave out -t' });
  }
  const session = createSession(await cli.api().exec(name, body, tellWait(cli, name)));
  const takesKeys = body.tty === true && isTerminal;
  const forwardsInput = interactive || takesKeys || !isTerminal;
  const restore = takesKeys ? takeTerminal(cli.stdin, cli.stdout, session) : undefined;
  const stop = forwardSignals(cli, session);
  try {
    const input = forwardsInput ? (cli.stdin as AsyncIterable<Uint8Array>) : undefined;
    const { status, reason } = await session.run({ input, output: cli.stdout, errors: cli.stderr });
    if (reason !== '') cli.note(`banger: ${safeLine(reason)}`);
    // A value that does not fit into an exit status is still a failure (a signal's number is 128+n already).
    return status >= 0 && status <= 255 ? status : 255;
  } finally {
    stop();
    restore?.();
  }
}

/** @returns 126 and 127 for a command that the guest cannot run, 2 for wrong usage, 125 for other errors of banger */
export function guestFailureExit(error: unknown): number {
  if (!(error instanceof BangerError)) return OWN_FAILURE_EXIT;
  if (error.code === 'GUEST_COMMAND_NOT_FOUND') return 127;
  if (error.code === 'GUEST_COMMAND_NOT_EXECUTABLE') return 126;
  return error.code === 'USAGE' || error.code === 'INVALID_INPUT' ? 2 : OWN_FAILURE_EXIT;
}
