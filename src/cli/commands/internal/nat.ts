import { newArgument, newCommand } from '../../command.ts';
import type { Cli } from '../../cli.ts';
import { chooseTargets, reportInOrder } from '../../targets.ts';

export function declareCommand(cli: Cli) {
  return newCommand('nat', 'give running virtual machines the way to the outside, or take it; later starts keep to it', [
    'banger internal nat down web',
    'banger internal nat up web db',
  ])
    .addArgument(newArgument('<direction>', 'up or down').choices(['up', 'down'] as const))
    .argument('<name...>', 'names, ids or beginnings of ids')
    .action(async (direction, names) => {
      const api = cli.api();
      const outcomes = (await chooseTargets(cli, names, false)).map(async (target) => {
        if ('error' in target) throw target.error;
        return (await api.setNat(target.vm.id, direction === 'up')).name;
      });
      await reportInOrder(cli, outcomes, (name) => cli.print(name));
    });
}
