import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand } from '../../command.ts';
import { given } from '../../../lib/given.ts';

export function declareCommand(cli: Cli) {
  return newCommand('setup', 'prepare this host for bridge networks, jails and device-mapper disks: install the root helper', [
    'sudo banger setup --dry-run',
    'sudo banger setup --user alice',
    'sudo banger setup --firecracker ~/fc/firecracker --jailer ~/fc/jailer',
    'sudo banger setup --uninstall',
  ])
    .option('--user <name>', 'user who may use it, by name or uid (may be repeated; default: the user who called sudo)', collect)
    .option('--firecracker <path>', 'Firecracker for jails, which setup copies; needs --jailer (default: no jails)')
    .option('--jailer <path>', 'jailer of the same version, which setup copies')
    .option('--uninstall', 'remove everything that setup made')
    .option('--dry-run', 'only show what to do')
    .action(async (flags) => {
      if (flags.uninstall === true && flags.user !== undefined) throw new BangerError('USAGE', '--uninstall and --user exclude each other');
      if (process.getuid?.() !== 0) {
        throw new BangerError('NOT_PERMITTED', 'only root can run setup', { remedy: 'sudo banger setup' });
      }
      process.umask(0o022);
      await setUp(cli, flags);
    });
}

type Flags = {
  user?: string[] | undefined;
  firecracker?: string | undefined;
  jailer?: string | undefined;
  uninstall?: true | undefined;
  dryRun?: true | undefined;
};

async function setUp(cli: Cli, flags: Flags): Promise<void> {
  const [
    { setupMachine },
    { runSetup },
    { installSteps, readBuiltHelper, readJailPrograms, resolveUsers },
    { uninstallSteps },
    { foregroundHint },
  ] = await Promise.all([
    import('../../../setup/machine.ts'),
    import('../../../setup/steps.ts'),
    import('../../../setup/install.ts'),
    import('../../../setup/uninstall.ts'),
    import('../../../setup/units.ts'),
  ]);
  const machine = setupMachine();
  const withSystemd = await machine.hasSystemd();
  const dryRun = flags.dryRun === true;
  const tell = (line: string): void => cli.print(line);
  if (flags.uninstall === true) return runSetup(uninstallSteps(machine, withSystemd), dryRun, tell);
  const caller = cli.env['SUDO_UID'];
  const named = flags.user ?? (caller === undefined || caller === '0' ? [] : [caller]);
  const [helper, uids] = [await readBuiltHelper(cli.programPath), await resolveUsers(machine, named)];
  const jailPrograms = await readJailPrograms(flags);
  const options = { helper, uids, withSystemd, ...given({ jailPrograms }) };
  await runSetup(installSteps(machine, options), dryRun, tell);
  if (!withSystemd) cli.note(foregroundHint());
}
