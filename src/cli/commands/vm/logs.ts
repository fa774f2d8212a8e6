import { writeAll } from '../../../client/send.ts';
import type { LogKind } from '../../../client/api.ts';
import { BangerError } from '../../../model/errors.ts';
import { filterLines } from '../../log-filter.ts';
import { parseSince, tailOption } from '../../log-options.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { jsonEscaped, safeText } from '../../../lib/terminal-text.ts';
import { safeLog } from '../../render/text.ts';
import { namedOrSole, SOLE_NAME } from '../../sole-vm.ts';

export function declareCommand(cli: Cli) {
  return newCommand('logs', 'print a log of a virtual machine (default: its serial console)', [
    'banger vm logs -f web',
    'banger vm logs --tail 50 web',
    'banger vm logs --events --since 10m web',
  ])
    .argument('[name]', SOLE_NAME)
    .option('-f, --follow', 'print new lines as they come')
    .option('--raw', 'print bytes unchanged, terminal control sequences included')
    .addOption(tailOption())
    .option('--since <time>', 'with --events: since a time, or a duration ago', parseSince)
    .addOption(newOption('--serial', 'what the guest wrote to its console (default)').conflicts(['vmm', 'events']))
    .addOption(newOption('--vmm', 'what the hypervisor wrote').conflicts(['serial', 'events']))
    .addOption(newOption('--events', 'what banger did to it').conflicts(['serial', 'vmm']))
    .action(async (typed, flags) => {
      const kind: LogKind = flags.vmm === true ? 'vmm' : flags.events === true ? 'events' : 'serial';
      if (flags.since !== undefined && kind !== 'events') {
        throw new BangerError('USAGE', '--since works with --events: the other logs have no times', { remedy: 'use --tail' });
      }
      const name = await namedOrSole(cli, typed);
      const all = await cli.api().logs(name, kind, flags.follow === true, flags.tail === Infinity ? undefined : flags.tail);
      const log = flags.since === undefined ? all : filterLines(all, { since: flags.since });
      // Events are JSON, and must stay JSON.
      await copyLog(cli, flags.raw === true ? log : safeLog(log, kind === 'events' ? jsonEscaped : safeText));
      if (flags.follow !== true) return;
      // A followed log does not end by itself.
      throw new BangerError('DAEMON_UNREACHABLE', 'the connection to the daemon ended while following the log', {
        remedy: `banger vm logs -f --tail 20 ${name}`,
      });
    });
}

/** Copies a log to the output, as fast as the reader takes it. */
export async function copyLog(cli: Cli, log: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of log) await writeAll(cli.stdout, chunk);
}
