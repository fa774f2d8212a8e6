import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { remoteArgv, type SshEndpoint } from '../../endpoint.ts';
import { ownProgram } from '../../launch.ts';
import { reportError } from '../../render/error.ts';
import { sshArgv } from '../../ssh-argv.ts';
import { OWN_FAILURE_EXIT } from './exec.ts';

/** What ssh itself ends with when it fails (ssh(1)). */
const SSH_FAILURE_EXIT = 255;

export function declareCommand(cli: Cli) {
  return newCommand('ssh', "log in to a virtual machine, or run a command over ssh; ends with the command's status", [
    'banger vm ssh web',
    "banger vm ssh web -- 'cd /etc && ls'",
  ])
    .argument('<name>', 'name, id or beginning of an id')
    .argument('[command...]', 'a single word is given to the shell in the guest as it is')
    .option('-t, --tty', 'ask for a terminal also for a command')
    .passThroughOptions()
    .action(async (name, words, flags) => {
      const command = words[0] === '--' ? words.slice(1) : words;
      try {
        cli.exitCode = await connectSsh(cli, name, command, flags.tty === true);
      } catch (error) {
        reportError(cli, error);
        cli.exitCode = OWN_FAILURE_EXIT;
      }
      if (command.length === 0 && cli.stdin.isTTY === true) await remind(cli, name);
    });
}

async function connectSsh(cli: Cli, name: string, command: readonly string[], tty: boolean): Promise<number> {
  const where = cli.endpoint();
  if (where.kind === 'ssh')
    return connectThere(cli, where, ['vm', 'ssh', ...(tty ? ['-t'] : []), name, ...(command.length === 0 ? [] : ['--', ...command])]);
  const access = await cli.api().sshAccess(name);
  const proxyArgv = [...ownProgram(cli.programPath), 'internal', 'ssh-proxy', name];
  const { runSsh } = await import('../../ssh-process.ts');
  const status = await runSsh(cli, sshArgv(access, proxyArgv, command, { tty }));
  return status === SSH_FAILURE_EXIT ? OWN_FAILURE_EXIT : status;
}

/** Keys of VMs stay where the VMs are: the whole command runs there, on a terminal when there is one here. */
async function connectThere(cli: Cli, where: SshEndpoint, words: readonly string[]): Promise<number> {
  const { runSsh } = await import('../../ssh-process.ts');
  const tty = cli.stdin.isTTY === true && cli.stdout.isTTY === true;
  return runSsh(cli, remoteArgv(where, words, { tty }));
}

/** Tells that the VM still runs, and how to stop it (3.10); silent when it does not, or nobody can tell. */
async function remind(cli: Cli, name: string): Promise<void> {
  try {
    const health = await cli.runningApi().health(name);
    if (health.agent === 'ok') cli.note(`${health.vm} is still running; stop it: banger vm stop ${health.vm}`);
  } catch {
    // The session is over and its status is what counts.
  }
}
