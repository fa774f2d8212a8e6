import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { requireLocal } from '../../require-local.ts';

export function declareCommand(cli: Cli) {
  return newCommand('start', 'start the daemon, unless it runs', ['banger daemon start']).action(async () => {
    requireLocal(cli, 'daemon start');
    const { startDaemon } = await import('../../../client/daemon-process.ts');
    await startDaemon(cli);
    const { pid, socketPath } = await cli.runningApi().daemon();
    cli.print(`running, pid ${pid}, ${socketPath}`);
  });
}
