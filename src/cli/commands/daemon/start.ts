import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';

export function declareCommand(cli: Cli) {
  return newCommand('start', 'start the daemon; does nothing when it runs', ['banger daemon start']).action(async () => {
    const { startDaemon } = await import('../../daemon-process.ts');
    await startDaemon(cli);
    const { pid, socketPath } = await cli.runningApi().daemon();
    cli.print(`running, pid ${pid}, ${socketPath}`);
  });
}
