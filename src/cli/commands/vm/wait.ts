import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { chooseTargets, reportInOrder } from '../../targets.ts';
import { parseTimeout } from '../../values.ts';

export function declareCommand(cli: Cli) {
  return newCommand('wait', 'wait until virtual machines are ready; exits with 124 on a timeout', [
    'banger vm wait web --for ssh --timeout 60s',
    'banger vm wait web db --for stopped',
  ])
    .argument('[name...]', 'names, ids or starts of ids (default: the only one there is)')
    .addOption(
      newOption(
        '--for <what>',
        "what to wait for: the guest agent runs commands (agent), ssh accepts logins (ssh), init and the image's services are up (services), running, stopped or suspended",
      )
        .choices(['agent', 'ssh', 'services', 'running', 'paused', 'stopped', 'suspended'] as const)
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
