import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { chooseTargets, reportInOrder } from '../../targets.ts';
import { parseTimeout } from '../../values.ts';

export function declareCommand(cli: Cli) {
  return newCommand('wait', 'wait until virtual machines are ready; ends with 124 when they are not in time', [
    'banger vm wait web --for ssh --timeout 60s',
    'banger vm wait web db --for stopped',
  ])
    .argument('[name...]', 'names, ids or beginnings of ids (default: the only one there is)')
    .addOption(
      newOption(
        '--for <what>',
        'what to wait for: commands can be run (agent), ssh lets in (ssh), its init and the services of the image are up (services), running or stopped',
      )
        .choices(['agent', 'ssh', 'services', 'running', 'stopped'] as const)
        .default('services' as const),
    )
    .option('--timeout <duration>', "seconds or a duration (default: the daemon's setting)", (v) => parseTimeout('--timeout', v))
    .action(async (names, flags) => {
      const outcomes = (await chooseTargets(cli, names, { sole: true })).map(async (target) => {
        if ('error' in target) throw target.error;
        return cli.api().waitVm(target.vm.id, flags.for, flags.timeout);
      });
      await reportInOrder(cli, outcomes, (vm) => cli.print(vm.name));
    });
}
