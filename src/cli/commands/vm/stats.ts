import { setTimeout as sleep } from 'node:timers/promises';
import type { Stats } from '../../../api/schemas.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { openLiveScreen } from '../../live-screen.ts';
import { isData, listing, type ListFlags, showLines, type ShowView } from '../../output.ts';
import { statsLines } from '../../render/stats.ts';
import { reportInOrder, resolveTargets } from '../../targets.ts';

const EXAMPLES = ['banger vm stats', 'banger vm stats web --watch', "banger vm stats -o json | jq '.vms[].residentBytes'"];
const DISKS = `
Of a disk, USED is what its files take in the guest, and HELD what the host holds for it. What is deleted in the guest comes back to the
host within seconds.`;
const FRAME_MS = 1000;

type VmStats = Stats['vms'][number];

export function declareCommand(cli: Cli) {
  const command = newCommand('stats', 'show what virtual machines use, and what is reserved for them (default: all)', EXAMPLES)
    .argument('[name...]', 'names, ids or starts of ids')
    .addHelpText('after', DISKS)
    .option('-w, --watch', 'repeat every second until q or Ctrl-C; -o json prints one line each time');
  return listing(command).action(async (names, flags) => {
    const first = await cli.api().stats();
    const found = await choose(cli, names, first);
    // A watch hides errors about other VMs, so it starts only if there are none.
    if (flags.watch === true && cli.exitCode === 0) {
      const ids = new Set(found.map((vm) => vm.id));
      return watch(cli, first, names.length === 0 ? () => true : (vm) => ids.has(vm.id), flags);
    }
    if (found.length === 0 && names.length > 0) return;
    for (const line of await showLines(flags, { ...first, vms: found }, viewOf(cli, flags))) cli.print(line);
  });
}

function viewOf(cli: Cli, { headers, output }: ListFlags): ShowView<Stats> {
  return {
    name: ({ vms }) => vms.map((vm) => vm.name).join('\n'),
    lines: (stats) => statsLines(cli, stats, { isWide: output === 'wide', headers }),
  };
}

/** @returns the named VMs, or all VMs if the user names none; reports names that do not exist */
async function choose(cli: Cli, names: readonly string[], stats: Stats): Promise<VmStats[]> {
  if (names.length === 0) return stats.vms;
  const found: VmStats[] = [];
  const outcomes = resolveTargets(names, stats.vms).map(async (target) => {
    if ('error' in target) throw target.error;
    return target.vm;
  });
  await reportInOrder(cli, outcomes, (vm) => void found.push(vm));
  return found;
}

/** Runs until the user ends it; that is not a failure. @param isWanted which VMs the table and the JSON show */
async function watch(cli: Cli, first: Stats, isWanted: (vm: VmStats) => boolean, flags: ListFlags): Promise<void> {
  const screen = openLiveScreen(cli, isData(flags));
  try {
    for (let stats = first; ; stats = await cli.api().stats(screen.signal)) {
      const shown = { ...stats, vms: stats.vms.filter(isWanted) };
      screen.draw(await showLines(flags, shown, viewOf(cli, flags), { isStream: true }));
      await sleep(FRAME_MS, undefined, { signal: screen.signal });
    }
  } catch (error) {
    if (!screen.signal.aborted) throw error;
  } finally {
    screen.close();
  }
}
