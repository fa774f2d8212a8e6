import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { confirm } from '../../confirm.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb, type Target } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';

export function declareCommand(cli: Cli) {
  return newCommand('suspend', 'save the memory of virtual machines to disk and stop them, to resume them later', [
    'banger vm suspend web db',
    'banger vm suspend --all --yes',
  ])
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .addOption(filterOption())
    .option('-y, --yes', 'end open sessions without asking')
    .addOption(progressOption())
    .action(async (names, flags) => {
      const targets = await chooseTargets(cli, names, flags);
      const endSessions = flags.yes === true || (await mayEnd(cli, targets));
      await runVerb(cli, targets, 'suspend', { progress: flags.progress, body: endSessions ? { endSessions } : {} });
    });
}

/** @returns whether a person agreed. Without a terminal nobody can, and the daemon refuses. */
async function mayEnd(cli: Cli, targets: readonly Target[]): Promise<boolean> {
  if (cli.stdin.isTTY !== true || cli.stderr.isTTY !== true) return false;
  const chosen = new Set(targets.flatMap((target) => ('vm' in target ? target.vm.name : [])));
  const open = (await cli.api().sessions()).filter(({ vm }) => chosen.has(vm)).map(({ vm, what }) => `${what} (${vm})`);
  await confirm(cli, open, 'End', 'nothing was suspended');
  return open.length > 0;
}
