import { isIP } from 'node:net';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';

const KINDS = ['systemd-resolved', 'networkmanager', 'dnsmasq'] as const;

export function declareCommand(cli: Cli) {
  return newCommand('setup', "make this machine's resolver ask banger for names under .vm", [
    'banger dns setup --dry-run',
    'sudo banger dns setup --server 127.0.0.1:42069',
  ])
    .addOption(newOption('--for <resolver>', 'resolver to configure (default: the one this machine uses)').choices(KINDS))
    .option('--server <address:port>', "address of banger's name server (default: your daemon's)")
    .option('--dry-run', 'only show the file to write')
    .action(async (flags) => {
      const [{ setupMachine }, { RESOLVERS, adviceWithoutResolver, findResolver, refuseConflicts }, { dnsSetupStep }, { runSetup }] =
        await Promise.all([
          import('../../../setup/machine.ts'),
          import('../../../setup/resolvers.ts'),
          import('../../../setup/resolver-steps.ts'),
          import('../../../setup/steps.ts'),
        ]);
      const server = parseServer(flags.server ?? (await serverOfDaemon(cli)));
      const machine = setupMachine();
      const found = await findResolver(machine);
      const kind = flags.for ?? found.kind;
      if (kind === 'none') {
        for (const line of adviceWithoutResolver(server)) cli.note(line);
        throw new BangerError('UNSUPPORTED', found.because, { remedy: 'banger dns setup --for dnsmasq' });
      }
      await refuseConflicts(machine, kind);
      const step = dnsSetupStep(machine, kind, server);
      if (flags.dryRun === true) {
        cli.print(`# ${RESOLVERS[kind].file}`);
        cli.print(RESOLVERS[kind].content(server).trimEnd());
        cli.print(`# then: ${RESOLVERS[kind].reload.join(' ')}`);
        return;
      }
      if (!(await step.isDone())) refuseUnlessRoot(`dns setup --for ${kind} --server ${server.address}:${server.port}`);
      process.umask(0o022);
      await runSetup([step], false, (line) => cli.print(line));
    });
}

/** Root has no daemon to ask for the address, so with `sudo` the user's command passes `--server`. */
async function serverOfDaemon(cli: Cli): Promise<string> {
  return process.getuid?.() === 0 && cli.env['SUDO_UID'] !== undefined ? '127.0.0.1:42069' : (await cli.api().daemon()).dns.address;
}

/** @throws INVALID_INPUT */
export function parseServer(text: string): { address: string; port: number } {
  const [, address = '', port = ''] = /^\[?([0-9a-fA-F.:]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  // Resolver files hold addresses, and no text that only looks like one.
  if (isIP(address) !== 0 && Number(port) >= 1 && Number(port) <= 65_535) return { address, port: Number(port) };
  throw new BangerError('INVALID_INPUT', `--server: ${JSON.stringify(text.slice(0, 80))} is not allowed`, {
    remedy: 'give an address and a port, for example 127.0.0.1:42069',
  });
}

/** @throws NOT_PERMITTED with the command to run as root */
export function refuseUnlessRoot(command: string): void {
  if (process.getuid?.() === 0) return;
  throw new BangerError('NOT_PERMITTED', "only root can change the resolver's files", { remedy: `sudo banger ${command}` });
}
