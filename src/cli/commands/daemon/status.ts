import type { DaemonStatus } from '../../../api/schemas.ts';
import { formatDuration } from '../../../lib/duration.ts';
import { formatSize } from '../../../lib/size.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { printOne, showing } from '../../output.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('status', 'show the daemon and the drivers it chose; does not start it', [
    'banger daemon status -o json',
    "banger daemon status --format '{{.drivers.hypervisor.name}}'",
  ]);
  return showing(command, 'its socket only').action(async (flags) => {
    await printOne(cli, flags, await cli.runningApi().daemon(), { name: (daemon) => daemon.socketPath, facts: factsOf });
  });
}

function factsOf(daemon: DaemonStatus): [string, string | null][] {
  const chosen = (choice: { name: string; reason: string }): string => `${choice.name} (${choice.reason})`;
  const { hypervisor, accelerator, storage, network } = daemon.drivers;
  return [
    ['pid', String(daemon.pid)],
    ['version', `${daemon.version} (build ${daemon.build})`],
    ['up for', `${formatDuration(daemon.uptimeMs)} (since ${daemon.startedAt})`],
    ['memory', formatSize(daemon.memoryBytes)],
    ['virtual machines', `${daemon.vms.running} running of ${daemon.vms.total}`],
    ['spare VMs', sparesText(daemon.spares)],
    ['socket', daemon.socketPath],
    ['database', daemon.databasePath],
    ['log', daemon.logPath],
    ['vm logs', daemon.vmLogsDirectory],
    ['operation logs', daemon.operationLogsDirectory],
    ['config', daemon.configPath],
    ['bundle', daemon.bundleDirectory ?? 'none; make one: banger bundle build'],
    ['dns', listenerText(daemon.dns)],
    ['http', listenerText(daemon.http)],
    ['hypervisor', chosen(hypervisor)],
    ['accelerator', chosen(accelerator)],
    ['storage', chosen(storage)],
    ['network', chosen(network)],
  ];
}

function listenerText({ address, listening, problem }: DaemonStatus['dns']): string {
  return `${address} ${listening ? 'listening' : `not listening: ${problem ?? 'unknown'}`}`;
}

function sparesText({ ready, wanted, problem }: DaemonStatus['spares']): string {
  if (wanted === 0) return 'switched off';
  return `${ready} ready of ${wanted}${problem === null ? '' : ` (${problem})`}`;
}
