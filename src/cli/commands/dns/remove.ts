import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { refuseUnlessRoot } from './setup.ts';

export function declareCommand(cli: Cli) {
  return newCommand('remove', 'undo `dns setup`', ['sudo banger dns remove', 'banger dns remove --dry-run'])
    .option('--dry-run', 'only show what to remove')
    .action(async (flags) => {
      const [{ setupMachine }, { installedResolvers }, { dnsRemoveStep }, { runSetup }] = await Promise.all([
        import('../../../setup/machine.ts'),
        import('../../../setup/resolvers.ts'),
        import('../../../setup/resolver-steps.ts'),
        import('../../../setup/steps.ts'),
      ]);
      const machine = setupMachine();
      const installed = await installedResolvers(machine, { address: '', port: 0 });
      if (installed.length === 0) return cli.note('there is nothing to remove');
      if (flags.dryRun !== true) refuseUnlessRoot('dns remove');
      const steps = installed.map(({ kind }) => dnsRemoveStep(machine, kind));
      await runSetup(steps, flags.dryRun === true, (line) => cli.print(line));
    });
}
