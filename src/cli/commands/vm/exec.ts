import type { ExecBody } from '../../../api/schemas.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand } from '../../command.ts';
import { forwardSignals, runSession, takeTerminal, windowOf } from '../../exec-session.ts';
import { reportError } from '../../render/error.ts';
import { safeLine } from '../../render/text.ts';
import { parseEnvironment } from '../../values.ts';

/** docker's and ssh's convention: banger failed, not the command. */
export const OWN_FAILURE_EXIT = 125;

export function declareCommand(cli: Cli) {
  return newCommand('exec', "run a command in a virtual machine; ends with the command's status, 125 when banger itself fails", [
    'banger vm exec web -- uname -a',
    'banger vm exec -it web bash',
    'tar c src | banger vm exec web tar x -C /root',
  ])
    .argument('<name>', 'name, id or beginning of an id')
    .argument('<command...>', 'command and arguments; everything after the name belongs to them')
    .option('-i, --interactive', 'pass stdin on (done anyway when it is not a terminal)')
    .option('-t, --tty', 'give the command a terminal')
    .option('-e, --env <name=value>', 'set a variable; without =value pass ours on (may be repeated)', collect)
    .option('-w, --cwd <directory>', 'directory in the guest to run in')
    .option('-u, --user <user>', 'user in the guest (default: root)')
    .passThroughOptions()
    .action(async (name, words, flags) => {
      const argv = words[0] === '--' ? words.slice(1) : words;
      const body = execBody(cli, argv, flags);
      try {
        cli.exitCode = await execute(cli, name, body, flags.interactive === true);
      } catch (error) {
        reportError(cli, error);
        cli.exitCode = guestFailureExit(error);
      }
    });
}

type ExecFlags = { tty?: true | undefined; env?: string[] | undefined; cwd?: string | undefined; user?: string | undefined };

/** @throws INVALID_INPUT for a relative directory or a variable without a name, before anything is contacted */
function execBody(cli: Cli, argv: string[], flags: ExecFlags): ExecBody {
  if (argv.length === 0) throw new BangerError('USAGE', 'no command is given', { remedy: 'banger vm exec --help' });
  if (flags.cwd !== undefined && !flags.cwd.startsWith('/')) {
    throw new BangerError('INVALID_INPUT', `--cwd: ${JSON.stringify(flags.cwd)} is not an absolute path`, { remedy: 'begin it with /' });
  }
  const env = parseEnvironment('--env', flags.env ?? [], cli.env);
  const term = cli.env['TERM'];
  if (flags.tty === true && term !== undefined) env['TERM'] ??= term;
  const [rows, columns] = windowOf(cli.stdout);
  return {
    argv,
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(flags.cwd === undefined ? {} : { cwd: flags.cwd }),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.tty === true ? { tty: true, rows, columns } : {}),
  };
}

async function execute(cli: Cli, name: string, body: ExecBody, interactive: boolean): Promise<number> {
  const isTerminal = cli.stdin.isTTY === true;
  if (body.tty === true && interactive && !isTerminal) {
    throw new BangerError('USAGE', 'stdin is not a terminal', { remedy: 'leave out -t' });
  }
  const socket = await cli.api().exec(name, body);
  const takesKeys = body.tty === true && isTerminal;
  const forwardsInput = interactive || takesKeys || !isTerminal;
  const restore = takesKeys ? takeTerminal(cli.stdin, cli.stdout, socket) : undefined;
  const stop = forwardSignals(cli, socket);
  try {
    const input = forwardsInput ? (cli.stdin as AsyncIterable<Uint8Array>) : undefined;
    const { status, reason } = await runSession(socket, { input, output: cli.stdout, errors: cli.stderr });
    if (reason !== '') cli.note(`banger: ${safeLine(reason)}`);
    // What does not fit a status (a signal's number is 128+n already) still is a failure.
    return status >= 0 && status <= 255 ? status : 255;
  } finally {
    stop();
    restore?.();
  }
}

/** @returns 126 and 127 for a command that the guest cannot run, 2 for wrong use, 125 for everything else of ours */
export function guestFailureExit(error: unknown): number {
  if (!(error instanceof BangerError)) return OWN_FAILURE_EXIT;
  if (error.code === 'GUEST_COMMAND_NOT_FOUND') return 127;
  if (error.code === 'GUEST_COMMAND_NOT_EXECUTABLE') return 126;
  return error.code === 'USAGE' || error.code === 'INVALID_INPUT' ? 2 : OWN_FAILURE_EXIT;
}
