import { BangerError, ERROR_CODES } from '../../../model/errors.ts';
import { readVmReference } from '../../../model/reference.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { endpointName, remoteArgv, type SshEndpoint, sshWords } from '../../../client/endpoint.ts';
import { ownProgram } from '../../../client/launch.ts';
import { reportError } from '../../render/error.ts';
import { sshArgv } from '../../../client/ssh-argv.ts';
import { shellWord } from '../../../lib/shell-word.ts';
import { readSshWords, type SshWords } from '../../ssh-words.ts';
import { beginsWithDashes, nameAndCommand, SOLE_NAME } from '../../sole-vm.ts';
import { missingWindow } from '../../terminal.ts';
import { OWN_FAILURE_EXIT } from './exec.ts';

/** The exit status of ssh if it fails itself (ssh(1)). */
const SSH_FAILURE_EXIT = 255;

export function declareCommand(cli: Cli) {
  return newCommand('ssh', "log in to a virtual machine, or run a command over ssh; exits with the command's status", [
    'banger vm ssh web',
    'banger vm ssh dev@web -A',
    'banger vm ssh web -N -L 5432:localhost:5432',
    "banger vm ssh web -- 'cd /etc && ls'",
  ])
    .usage('[ssh options] [user@][name] [ssh options] [command...]')
    .argument('[name]', SOLE_NAME)
    .argument('[command...]', "the command; the guest's shell interprets a single word")
    .option('-t, --tty', 'allocate a terminal for a command, too')
    .addHelpText(
      'after',
      '\nOther switches of a single letter are those of ssh(1), before the name or behind it: -A, -L, -R, -D, -N, -v, -o …',
    )
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (first, rest, flags, command) => {
      try {
        const words = first === undefined ? [] : [first, ...rest];
        const typed = readSshWords(words, beginsWithDashes(command));
        const login = await loginOf(cli, { ...typed, options: [...(flags.tty === true ? ['-t'] : []), ...typed.options] });
        cli.exitCode = await connectSsh(cli, login);
        if (login.command.length === 0 && cli.stdin.isTTY === true) await remind(cli, login.name);
      } catch (error) {
        reportError(cli, error);
        cli.exitCode = error instanceof BangerError && ERROR_CODES[error.code].exit === 2 ? 2 : OWN_FAILURE_EXIT;
      }
    });
}

type Login = { name: string; user?: string | undefined; options: readonly string[]; command: readonly string[] };

/** @returns the words that the user typed, with the name of the only VM if they name none */
async function loginOf(cli: Cli, { destination, ...typed }: SshWords): Promise<Login> {
  if (destination !== undefined) return { ...readVmReference(destination), ...typed };
  return { ...typed, ...(await nameAndCommand(cli, typed.command, true)) };
}

async function connectSsh(cli: Cli, { name, user, options, command }: Login): Promise<number> {
  const where = cli.endpoint();
  if (where.kind === 'ssh') {
    tellWhereForwardsAre(cli, where, name, options);
    return connectThere(cli, where, [
      ...['vm', 'ssh', user === undefined ? name : `${user}@${name}`, ...options],
      ...(command.length === 0 ? [] : ['--', ...command]),
    ]);
  }
  const access = await cli.api().sshAccess(name, 'running');
  const proxyArgv = [ownProgram(cli.programPath), 'internal', 'ssh-proxy', name];
  const { runSsh } = await import('../../../client/ssh-process.ts');
  const status = await runSsh(cli, sshArgv(access, proxyArgv, command, { options, user }), missingWindow(cli));
  return status === SSH_FAILURE_EXIT ? OWN_FAILURE_EXIT : status;
}

/** The forwarded ports would open on the other machine, where the user does not look for them. */
function tellWhereForwardsAre(cli: Cli, where: SshEndpoint, name: string, options: readonly string[]): void {
  const forward = options.find((word) => word === '-L' || word === '-D');
  if (forward === undefined) return;
  const here = sshWords(where, ['-N', '-L', 'PORT:ADDRESS:GUESTPORT']).map(shellWord).join(' ');
  cli.note(
    `${forward} opens its port at ${endpointName(where)}, not here; for one here: ${here}, where ADDRESS is what banger vm show ${name} says`,
  );
}

/** The keys of VMs stay where the VMs are: the whole command runs there, on a terminal if there is one here. */
async function connectThere(cli: Cli, where: SshEndpoint, words: readonly string[]): Promise<number> {
  const { runSsh } = await import('../../../client/ssh-process.ts');
  const tty = cli.stdin.isTTY === true && cli.stdout.isTTY === true;
  return runSsh(cli, remoteArgv(where, words, { tty }), missingWindow(cli));
}

/** Says that the VM still runs, and how to stop it. Says nothing if the VM does not run, or its state is unknown. */
async function remind(cli: Cli, name: string): Promise<void> {
  try {
    const health = await cli.runningApi().health(name);
    if (health.agent === 'ok') cli.note(`${health.vm} is still running; stop it: banger vm stop ${health.vm}`);
  } catch {
    // The session is over, and only its status counts.
  }
}
