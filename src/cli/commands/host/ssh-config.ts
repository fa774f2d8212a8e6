import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { LOCAL_CONTEXT } from '../../../client/endpoint.ts';
import { requireLocal } from '../../require-local.ts';
import { ownProgram } from '../../../client/launch.ts';
import { sshConfigText } from '../../../client/ssh-argv.ts';
import { changeSshConfig, withInclude, withoutInclude } from '../../ssh-include.ts';
import { sshIncludePath } from '../../../client/ssh-values.ts';

/** Where to look for a daemon: the proxy must find the daemon of this command. */
const KEPT_VARIABLES = ['BANGER_CONFIG', 'BANGER_STATE_DIR', 'BANGER_CACHE_DIR', 'BANGER_RUNTIME_DIR'];

export function declareCommand(cli: Cli) {
  return newCommand('ssh-config', 'make ssh, scp, sftp, rsync, git and editors reach virtual machines as NAME.vm', [
    'banger ssh-config --install && ssh web.vm',
    'banger ssh-config --remove',
    'banger ssh-config --print > my-own-ssh-config',
  ])
    .addOption(newOption('--install', 'also add one Include line at the top of ~/.ssh/config').conflicts(['remove', 'print']))
    .addOption(newOption('--remove', 'remove that line and the file').conflicts('print'))
    .option('--print', 'only print the configuration')
    .action(async (flags) => {
      requireLocal(cli, 'ssh-config');
      const places = placesOf(cli);
      if (flags.remove === true) return remove(cli, places);
      // Before the command writes anything or starts the daemon.
      if (flags.install === true) sshIncludePath(places.include);
      const text = sshConfigText(await cli.api().sshLogin(), proxyArgv(cli), places.knownHosts);
      if (flags.print === true) return cli.print(text.trimEnd());
      await write(places.include, text);
      cli.print(places.include);
      if (flags.install === true) await install(cli, places);
      else cli.note('ssh reads it once it is included: banger ssh-config --install');
    });
}

type Places = { include: string; knownHosts: string; userConfig: string };

function placesOf(cli: Cli): Places {
  const { stateDirectory } = cli.directories();
  const directory = join(stateDirectory, 'ssh');
  const userConfig = join(cli.env['HOME'] ?? homedir(), '.ssh/config');
  return { include: join(directory, 'ssh_config'), knownHosts: join(directory, 'known_hosts.d'), userConfig };
}

function proxyArgv(cli: Cli): string[] {
  const kept = KEPT_VARIABLES.flatMap((name) => (cli.env[name] ? [`${name}=${cli.env[name]}`] : []));
  // Keys and names belong to this machine, whatever context is in use when ssh runs.
  return ['env', `BANGER_HOST=${LOCAL_CONTEXT}`, ...kept, ownProgram(cli.programPath), 'internal', 'ssh-proxy'];
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, text, { mode: 0o600 });
  await rename(partial, path);
}

async function install(cli: Cli, { include, userConfig }: Places): Promise<void> {
  const changed = await changeUserConfig(userConfig, (text) => withInclude(text, include));
  cli.note(`${changed ? 'included by' : 'already included by'} ${userConfig}; try it: ssh NAME.vm`);
}

async function remove(cli: Cli, { include, knownHosts, userConfig }: Places): Promise<void> {
  const changed = await changeUserConfig(userConfig, (text) => (text === undefined ? undefined : withoutInclude(text, include)));
  for (const path of [include, knownHosts]) await rm(path, { recursive: true, force: true });
  cli.note(changed ? `${userConfig} is as it was` : `${userConfig} did not include it`);
}

async function changeUserConfig(path: string, change: Parameters<typeof changeSshConfig>[1]): Promise<boolean> {
  try {
    return await changeSshConfig(path, change);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new BangerError('NOT_PERMITTED', `cannot add a line to ${path}: ${code ?? String(error)}`, {
      remedy: 'make it writable, or add the line yourself to a file that ssh reads',
      cause: error,
    });
  }
}
