import type { VmView } from '../../../api/schemas.ts';
import { isSet } from '../../../lib/is-set.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { confirm } from '../../confirm.ts';
import { progressOption } from '../../progress-option.ts';
import { chooseTargets, runVerb } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';

export function declareCommand(cli: Cli) {
  return newCommand('start', 'start virtual machines, or resume suspended ones', [
    'banger vm start web db',
    'banger vm start --all',
    'banger vm start --rescue web',
  ])
    .argument('[name...]', 'names, ids or starts of ids (default: the only one there is)')
    .option('--all', 'every virtual machine')
    .option('--rescue', "boot the image's own system beside the VM's disks, to repair them; the next start is an ordinary one")
    .option('--discard-memory', 'boot a suspended virtual machine from its disks; its memory is lost')
    .addOption(filterOption())
    .addOption(progressOption())
    .action(async (names, flags) => {
      await runVerb(cli, await chooseTargets(cli, names, { ...flags, sole: true }), 'start', {
        progress: flags.progress,
        body: {
          ...(flags.rescue === true ? { rescue: true } : {}),
          ...(flags.discardMemory === true ? { discardMemory: true } : {}),
        },
        instead: (vm, error) => fromDisks(cli, vm, error),
      });
    });
}

/** Only a person decides that a VM loses its memory. @throws CANCELLED unless they say yes */
async function fromDisks(cli: Cli, { name }: VmView, error: unknown): Promise<{ discardMemory: true } | undefined> {
  const isTerminal = cli.stdin.isTTY === true && cli.stderr.isTTY === true;
  if (!isTerminal || isSet(cli.env['BANGER_NO_INPUT'])) return undefined;
  if (!(error instanceof BangerError) || error.code !== 'SNAPSHOT_UNUSABLE') return undefined;
  cli.note(`banger: ${error.message}`);
  await confirm(cli, [name], 'Discard the memory of', `${name} stays suspended`, ' and boot it from its disks');
  return { discardMemory: true };
}
