import type { GuestPortView } from '../../../api/schemas.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { type Column, renderTable } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('ports', 'list what listens in a virtual machine, and where it is reached from here', ['banger vm ports web'])
    .argument('<name>', 'name, id or beginning of an id')
    .addOption(outputOption())
    .option('-q, --quiet', 'endpoints only')
    .action(async (name, flags) => {
      const found = await cli.api().ports(name);
      if (flags.output === 'json') return cli.print(JSON.stringify(found, null, 2));
      const lines = renderTable(flags.quiet === true ? [COLUMNS[1] as Column<GuestPortView>] : COLUMNS, found, {
        headers: flags.quiet !== true,
      });
      for (const line of new Set(lines)) cli.print(line);
    });
}

/** @returns where the port is reached from the host, or why it is not */
function endpoint(port: GuestPortView): string {
  if (port.hostAddress === null || port.hostPort === null) return `${port.address}:${port.port} (${port.problem ?? 'in the guest only'})`;
  return `${port.hostAddress}:${port.hostPort}${port.problem === null ? '' : ` (${port.problem})`}`;
}

// A service bound for IPv4 and IPv6 gives two equal lines; a set of lines shows it once (3.12).
const COLUMNS: readonly Column<GuestPortView>[] = [
  { title: 'PROTO', of: (port) => port.protocol },
  { title: 'ENDPOINT', of: endpoint },
  { title: 'PROCESS', of: (port) => `${port.process}(${port.pid})` },
  { title: 'COMMAND', of: (port) => port.command },
];
