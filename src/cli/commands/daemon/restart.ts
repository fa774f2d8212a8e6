import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { requireLocal } from '../../endpoint.ts';

export function declareCommand(cli: Cli) {
  return newCommand('restart', 'stop the daemon and start it; virtual machines go on running', ['banger daemon restart']).action(
    async () => {
      requireLocal(cli, 'daemon restart');
      const { restartDaemon } = await import('../../daemon-process.ts');
      await restartDaemon(cli);
      const { pid, socketPath } = await cli.runningApi().daemon();
      cli.print(`running, pid ${pid}, ${socketPath}`);
    },
  );
}
