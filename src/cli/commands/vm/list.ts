import type { VmView } from '../../../api/schemas.ts';
import { formatAge, formatSpan } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand, newOption } from '../../command.ts';
import { listing, printList } from '../../output.ts';
import type { Column } from '../../render/table.ts';
import { filterOption, labelText, parseFilters } from '../../vm-filter.ts';
import { settingColumns } from '../../vm-settings.ts';

const EXAMPLES = [
  'banger vm list -o wide',
  'banger vm ls -q --filter state=running -l project=shop',
  "banger vm ls -o json | jq '.[].address'",
];

export function declareCommand(cli: Cli) {
  return listing(newCommand('list', 'list virtual machines', EXAMPLES))
    .addOption(filterOption())
    .addOption(newOption('-a, --all', 'every one of them, which is what it does').hideHelp())
    .option('-l, --label <key=value>', 'only VMs with this label; without =value, with any value (may be repeated)', collect)
    .action(async (flags) => {
      const matches = parseFilters([...(flags.filter ?? []), ...(flags.label ?? []).map((label) => `label=${label}`)]);
      const vms = (await cli.api().listVms()).filter(matches);
      await printList(cli, flags, vms, { columns: COLUMNS, wide: WIDE_COLUMNS, name: (vm) => vm.name });
    });
}

/** Marks a running VM that has a problem; `-o wide` shows the problem. */
function stateOf(vm: VmView): string {
  if (vm.state === 'paused' || vm.state === 'suspended') return sleepOf(vm);
  if (vm.state !== 'running') return vm.state;
  if (vm.rescue) return 'running (rescue)';
  return vm.lastError === null && vm.troubles.length === 0 ? 'running' : 'running (!)';
}

/** Since when it sleeps, and why if nobody asked for it. */
function sleepOf({ state, sleep, lastError }: VmView): string {
  const since = sleep === null ? '' : ` ${formatSpan(Date.now() - Date.parse(sleep.since))}`;
  return `${state}${since}${sleep?.why === 'idle' ? ', idle' : ''}${lastError === null ? '' : ' (!)'}`;
}

function problemOf({ lastError, troubles }: VmView): string {
  return [...(lastError === null ? [] : [lastError]), ...troubles.map(({ reason }) => reason)].join('; ') || '-';
}

const COLUMNS: readonly Column<VmView>[] = [
  { title: 'NAME', of: (vm) => vm.name },
  { title: 'STATE', of: stateOf },
  { title: 'IMAGE', of: (vm) => vm.image, minor: true },
  ...settingColumns('table'),
  { title: 'ADDRESS', of: (vm) => vm.address },
  { title: 'CREATED', of: (vm) => formatAge(Date.parse(vm.createdAt), Date.now()), minor: true },
];

const WIDE_COLUMNS: readonly Column<VmView>[] = [
  { title: 'ID', of: (vm) => vm.id },
  { title: 'GUEST', of: (vm) => vm.guestAddress },
  ...settingColumns('wide'),
  { title: 'VMM', of: (vm) => [vm.hypervisor, vm.accelerator].filter((part) => part !== null).join('/') || '-' },
  { title: 'STORAGE', of: (vm) => vm.storageDriver ?? '-' },
  { title: 'NETWORK', of: (vm) => vm.networkDriver ?? '-' },
  { title: 'LABELS', of: (vm) => labelText(vm.labels) ?? '-' },
  { title: 'PROBLEM', of: problemOf },
  { title: 'PID', of: (vm) => (vm.pid === null ? '-' : String(vm.pid)) },
  { title: 'USED', of: (vm) => (vm.lastUsedAt === null ? '-' : formatAge(Date.parse(vm.lastUsedAt), Date.now())) },
];
