import { writeAll } from '../../../api/client.ts';
import type { LogKind } from '../../../api/client-routes.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { safeText } from '../../render/text.ts';

export function declareCommand(cli: Cli) {
  return newCommand('logs', 'print a log of a virtual machine: its serial console unless another is named', [
    'banger vm logs -f web',
    'banger vm logs --events web',
  ])
    .argument('<name>', 'name, id or beginning of an id')
    .option('-f, --follow', 'go on as it grows')
    .addOption(newOption('--serial', 'what the guest wrote to its console (default)').conflicts(['vmm', 'events']))
    .addOption(newOption('--vmm', 'what the hypervisor wrote').conflicts(['serial', 'events']))
    .addOption(newOption('--events', 'what banger did to it').conflicts(['serial', 'vmm']))
    .action(async (name, flags) => {
      const kind: LogKind = flags.vmm === true ? 'vmm' : flags.events === true ? 'events' : 'serial';
      await copyLog(cli, await cli.api().logs(name, kind, flags.follow === true));
    });
}

/** Bytes as they are into a file or a pipe; on a terminal only what cannot act on it. */
export async function copyLog(cli: Cli, log: AsyncIterable<Buffer>): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of log) {
    if (cli.stdout.isTTY !== true) await writeAll(cli.stdout, chunk);
    else await writeAll(cli.stdout, Buffer.from(safeText(decoder.decode(chunk, { stream: true }))));
  }
}
