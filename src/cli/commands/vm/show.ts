import type { VmView } from '../../../api/schemas.ts';
import { formatAge } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { printEach, showing } from '../../output.ts';
import { chooseTargets, reportInOrder } from '../../targets.ts';
import { labelText } from '../../vm-filter.ts';
import { settingFacts } from '../../vm-settings.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('show', 'show everything about virtual machines (-o json: one object per machine)', [
    'banger vm show web',
    "banger vm show web --format '{{.paths.serialLog}}'",
  ]).argument('[name...]', 'names, ids or starts of ids (default: the only one there is)');
  return showing(command, 'names only').action(async (names, flags) => {
    const outcomes = (await chooseTargets(cli, names, { sole: true })).map(async (target) => {
      if ('error' in target) throw target.error;
      return target.vm;
    });
    const found: VmView[] = [];
    await reportInOrder(cli, outcomes, (vm) => void found.push(vm));
    await printEach(cli, flags, found, { name: ({ name }) => name, facts: factsOf });
  });
}

function factsOf(vm: VmView): [string, string | null][] {
  const moment = (time: string | null): string | null => (time === null ? null : `${time} (${formatAge(Date.parse(time), Date.now())})`);
  return [
    ['name', vm.name],
    ['id', vm.id],
    ['state', vm.rescue ? `${vm.state} (rescue)` : vm.state],
    ['since', vm.sleep === null ? null : `${moment(vm.sleep.since)}${vm.sleep.why === 'idle' ? ', idle: any use wakes it' : ''}`],
    ['kept awake', vm.keepAwake === null ? null : (vm.keepAwake.until ?? 'until banger vm keep-awake --release')],
    ['error', vm.lastError],
    ...vm.troubles.map(({ reason, remedy }): [string, string] => ['trouble', `${reason} (try: ${remedy})`]),
    ['image', vm.image],
    ['labels', labelText(vm.labels)],
    ...settingFacts(vm.spec),
    ['address', `${vm.address} (${vm.name}.vm)`],
    ['guest address', vm.guestAddress],
    ['created', moment(vm.createdAt)],
    ['started', moment(vm.startedAt)],
    ['last used', moment(vm.lastUsedAt)],
    ['hypervisor', vm.hypervisor === null ? null : `${vm.hypervisor} (${vm.accelerator ?? 'unknown'}), pid ${vm.pid ?? 'unknown'}`],
    ['storage', vm.storageDriver],
    ['network', vm.networkDriver],
    ['directory', vm.paths.directory],
    ['serial log', vm.paths.serialLog],
    ['vmm log', vm.paths.vmmLog],
    ['event log', vm.paths.eventLog],
  ];
}
