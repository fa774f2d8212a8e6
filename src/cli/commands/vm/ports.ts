import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestPortView } from '../../../api/port-schemas.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { openLiveScreen } from '../../live-screen.ts';
import { isData, listing, type ListFlags, listLines, type ListView, printList } from '../../output.ts';
import { localhostUrls, portLines } from '../../render/ports.ts';
import { namedOrSole, SOLE_NAME } from '../../sole-vm.ts';

const EXAMPLES = ['banger vm ports web', 'banger vm ports web --watch', "banger vm ports web --format '{{.url}}'"];
const FRAME_MS = 1000;

export function declareCommand(cli: Cli) {
  const command = newCommand('ports', 'list open ports of a virtual machine, and their addresses on this host', EXAMPLES)
    .argument('[name]', SOLE_NAME)
    .option('-w, --watch', 'repeat every second until q or Ctrl-C; -o json prints one line each time');
  return listing(command, 'endpoints only, one per line').action(async (typed, flags) => {
    const name = await namedOrSole(cli, typed);
    // Get the first answer before the screen appears, so that an error about a wrong name stays readable.
    const found = await cli.api().ports(name);
    if (flags.watch === true) await watch(cli, name, found, flags);
    else await printList(cli, flags, found, viewOf(cli, flags, found));
    if (!isData(flags) && flags.watch !== true) tellNames(cli, found);
  });
}

/** For people only: programs read the JSON. */
function tellNames(cli: Cli, ports: readonly GuestPortView[]): void {
  const simple = localhostUrls(ports);
  const names = [...new Set(ports.flatMap(({ nameUrl }) => nameUrl ?? []))];
  if (simple.length > 0) cli.note(`by name: ${simple.join(' ')}`);
  if (names.length > 0 && cli.stdout.isTTY === true) cli.note(`with .vm names (banger dns setup): ${names.join(' ')}`);
}

function viewOf(cli: Cli, { headers, output }: ListFlags, ports: readonly GuestPortView[]): ListView<GuestPortView> {
  return {
    lines: () => portLines(cli, ports, { isWide: output === 'wide', headers }),
    names: () => portLines(cli, ports, { isQuiet: true }),
  };
}

/** Runs until the user ends it; that is not a failure. */
async function watch(cli: Cli, name: string, first: readonly GuestPortView[], flags: ListFlags): Promise<void> {
  const screen = openLiveScreen(cli, isData(flags));
  try {
    for (let found = first; ; found = await cli.api().ports(name, screen.signal)) {
      screen.draw(await listLines(cli, flags, found, viewOf(cli, flags, found), { isStream: true }));
      await sleep(FRAME_MS, undefined, { signal: screen.signal });
    }
  } catch (error) {
    if (!screen.signal.aborted) throw error;
  } finally {
    screen.close();
  }
}
