import type { PortForwardView } from '../../../api/port-schemas.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { parseForward, parseForwardPlace } from '../../forward-spec.ts';
import { listing, printList } from '../../output.ts';
import type { Column } from '../../render/table.ts';

const EXAMPLES = [
  'banger vm forward web 8080:80',
  'banger vm forward web 0.0.0.0:8080:80',
  'banger vm forward dns 5353:53/udp --address 192.168.1.10',
  'banger vm forward list',
  'banger vm forward remove web 8080',
];
const ADDRESS = ['--address <address>', 'address of this host; 0.0.0.0 lets other machines in (default: 127.0.0.1)'] as const;

export function declareCommand(cli: Cli) {
  const forward = newCommand('forward', 'forward a port of this host to a virtual machine, until you remove the forward', EXAMPLES)
    .usage('[options] <name> [address:]port:guestport[/udp]...')
    .argument('<name>', 'name, id or start of an id')
    .argument('<forward...>', '[address:]port:guestport[/udp]')
    .option(...ADDRESS)
    .action(async (name, specs, flags) => {
      for (const body of specs.map((spec) => parseForward(spec, flags.address))) {
        const all = await cli.api().addForward(name, body);
        const made = all.find((f) => f.hostPort === body.hostPort && f.hostAddress === body.hostAddress && f.protocol === body.protocol);
        if (made !== undefined && made.problem !== null) cli.note(`${placeOf(made)}: ${made.problem}`);
        cli.print(placeOf(body));
      }
    });
  forward.addCommand(listCommand(cli));
  forward.addCommand(removeCommand(cli));
  return forward;
}

function listCommand(cli: Cli) {
  const command = newCommand('list', 'list the forwards of a virtual machine (default: of all VMs)', ['banger vm forward list web'])
    .alias('ls')
    .argument('[name]', 'name, id or start of an id');
  return listing(command, 'addresses on this host only, one per line').action(async (name, flags) => {
    const names = name === undefined ? (await cli.api().listVms()).map((vm) => vm.id) : [name];
    const found = (await Promise.all(names.map((ref) => cli.api().forwards(ref)))).flat();
    await printList(cli, flags, found, { columns: COLUMNS, name: placeOf });
  });
}

function removeCommand(cli: Cli) {
  return newCommand('remove', 'remove forwards', ['banger vm forward remove web 8080', 'banger vm forward remove web 0.0.0.0:5353/udp'])
    .aliases(['rm', 'delete'])
    .argument('<name>', 'name, id or start of an id')
    .argument('<forward...>', '[address:]port[/udp]')
    .option(...ADDRESS)
    .action(async (name, specs, flags) => {
      for (const place of specs.map((spec) => parseForwardPlace(spec, flags.address))) {
        await cli.api().removeForward(name, place);
        cli.print(placeOf(place));
      }
    });
}

function placeOf({ hostAddress, hostPort, protocol }: Pick<PortForwardView, 'hostAddress' | 'hostPort' | 'protocol'>): string {
  return `${hostAddress}:${hostPort}${protocol === 'udp' ? '/udp' : ''}`;
}

const COLUMNS: readonly Column<PortForwardView>[] = [
  { title: 'NAME', of: (forward) => forward.vm },
  { title: 'ON THIS HOST', of: placeOf },
  { title: 'IN THE GUEST', of: (forward) => `${forward.guestPort}/${forward.protocol}` },
  { title: 'STATE', of: (forward) => forward.problem ?? (forward.open ? 'open' : 'while the VM runs') },
];
