import { newArgument, newCommand } from '../../command.ts';
import type { Cli } from '../../cli.ts';
import { chooseTargets, reportInOrder } from '../../targets.ts';
import { changeVm, sayChanged } from '../vm/set.ts';

export function declareCommand(cli: Cli) {
  return newCommand('nat', 'give virtual machines the way to the outside, or take it; the same as vm set --nat', [
    'banger internal nat down web',
    'banger internal nat up web db',
  ])
    .addArgument(newArgument('<direction>', 'up or down').choices(['up', 'down'] as const))
    .argument('<name...>', 'names, ids or starts of ids')
    .action(async (direction, names) => {
      const outcomes = (await chooseTargets(cli, names, {})).map((target) => changeVm(cli, target, { nat: direction === 'up' }));
      await reportInOrder(cli, outcomes, (changed) => sayChanged(cli, changed));
    });
}
