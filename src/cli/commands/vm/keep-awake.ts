import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { chooseTargets, reportInOrder } from '../../targets.ts';
import { parseTimeout } from '../../values.ts';

export function declareCommand(cli: Cli) {
  return newCommand('keep-awake', 'keep virtual machines from being paused, suspended or stopped when nobody uses them', [
    'banger vm keep-awake web --for 2h',
    'banger vm keep-awake web --release',
  ])
    .argument('[name...]', 'names, ids or starts of ids (default: the only one there is)')
    .option('--for <time>', 'for this long, such as 2h (default: until --release)', (value: string) => parseTimeout('--for', value))
    .option('--release', 'let them sleep again')
    .action(async (names, flags) => {
      if (flags.release === true && flags.for !== undefined) {
        throw new BangerError('USAGE', 'give either --for or --release', { remedy: 'banger vm keep-awake --help' });
      }
      const api = cli.api();
      const outcomes = (await chooseTargets(cli, names, { sole: true })).map(async (target) => {
        if ('error' in target) throw target.error;
        const { vm } = target;
        if (flags.release === true) await api.releaseVm(vm.id);
        else await api.keepVmAwake(vm.id, flags.for);
        return vm.name;
      });
      await reportInOrder(cli, outcomes, (name) => cli.print(name));
    });
}
