import type { SetVm } from '../../../api/schemas.ts';
import { BangerError } from '../../../model/errors.ts';
import { checkName } from '../../../model/name.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand } from '../../command.ts';
import { showStages } from '../../operations.ts';
import { safeLine } from '../../../lib/terminal-text.ts';
import { chooseTargets, reportInOrder, type Target } from '../../targets.ts';
import { filterOption } from '../../vm-filter.ts';
import { parseLabels } from '../../values.ts';
import { givenSettings, liveFlags, type SettingFlags, withSettings } from '../../vm-settings.ts';

const EXAMPLES = [
  'banger vm set web --vcpu 4 --memory 4G',
  'banger vm set web db --disk-size 40G',
  'banger vm set web --no-nat',
  'banger vm set web --name shop',
  'banger vm set web --label tier=live --label-remove test',
];

export function declareCommand(cli: Cli) {
  const atAnyTime = [...liveFlags(), '--name'].join(', ');
  const named = newCommand('set', `change virtual machines: ${atAnyTime} and labels at any time, all else while stopped`, EXAMPLES)
    .argument('[name...]', 'names, ids or starts of ids')
    .option('--all', 'every virtual machine')
    .addOption(filterOption());
  return withSettings(named, 'set')
    .option('--name <name>', 'new name, a DNS label; <name>.vm changes with it', (value) => checkName(value))
    .option('-l, --label <key=value>', 'add or change a label (may be repeated)', collect)
    .option('--label-remove <key>', 'remove a label (may be repeated)', collect)
    .action(async (names, flags) => {
      const body = setBody(flags);
      const targets = await chooseTargets(cli, names, flags);
      if (flags.name !== undefined && targets.length > 1) {
        throw new BangerError('USAGE', 'several VMs cannot have one name', { remedy: 'name one VM with --name' });
      }
      const outcomes = targets.map((target) => changeVm(cli, target, body));
      await reportInOrder(cli, outcomes, (changed) => sayChanged(cli, changed));
    });
}

export type SetFlags = SettingFlags & {
  name?: string | undefined;
  label?: string[] | undefined;
  labelRemove?: string[] | undefined;
};

/** @returns only what the user gave. @throws USAGE if the user gave nothing */
export function setBody(flags: SetFlags): SetVm {
  const body: SetVm = {
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...givenSettings(flags),
  };
  const labels = changedLabels(flags);
  if (labels !== undefined) body.labels = labels;
  if (Object.keys(body).length > 0) return body;
  throw new BangerError('USAGE', 'no change given', { remedy: 'banger vm set --help' });
}

/** @returns values to set, null for keys to remove; undefined if the user gave neither. @throws INVALID_INPUT, USAGE */
function changedLabels({ label = [], labelRemove = [] }: SetFlags): NonNullable<SetVm['labels']> | undefined {
  const set = parseLabels('--label', label);
  const both = labelRemove.find((key) => Object.hasOwn(set, key));
  if (both !== undefined) throw new BangerError('USAGE', `label ${both} is both set and removed`, { remedy: 'leave one of them out' });
  const removed = Object.keys(parseLabels('--label-remove', labelRemove)).map((key): [string, null] => [key, null]);
  return label.length + removed.length === 0 ? undefined : { ...set, ...Object.fromEntries(removed) };
}

type Changed = { name: string; notes: string[] };

/** @returns the VM's present name, and the daemon's messages */
export async function changeVm(cli: Cli, target: Target, body: SetVm): Promise<Changed> {
  if ('error' in target) throw target.error;
  const notes: string[] = [];
  const { id } = await cli.api().beginVm(target.vm.id, 'set', body);
  // The operation takes milliseconds, so only its messages matter, not its stages.
  const end = await showStages(cli, id, 'none', { onLog: (line) => notes.push(line) });
  return { name: end.vm?.name ?? target.vm.name, notes };
}

/** Prints the name for scripts and the messages for people. */
export function sayChanged(cli: Cli, { name, notes }: Changed): void {
  cli.print(name);
  for (const note of notes) cli.note(`${name}: ${safeLine(note)}`);
}
