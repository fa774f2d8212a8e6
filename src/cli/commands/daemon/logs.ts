import { existsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { requireLocal } from '../../endpoint.ts';
import { filterLines, LOG_LEVELS } from '../../log-filter.ts';
import { copyLog } from '../vm/logs.ts';

const FOLLOW_INTERVAL_MS = 200;

export function declareCommand(cli: Cli) {
  return newCommand('logs', "print the daemon's log; works without a daemon", [
    'banger daemon logs -f --level warn',
    'banger daemon logs --operation 3f2a',
  ])
    .option('-f, --follow', 'go on as it grows')
    .addOption(newOption('--level <level>', 'this level and above (default: all that there is)').choices(LOG_LEVELS))
    .option('--operation <id>', 'of one operation, by its id or the beginning of it')
    .option('--vm <name>', 'of one virtual machine')
    .action(async (flags) => {
      requireLocal(cli, 'daemon logs');
      const { daemonLogPath } = cli.directories();
      if (!existsSync(daemonLogPath)) {
        throw new BangerError('NOT_FOUND', `there is no log at ${daemonLogPath}`, { remedy: 'banger daemon start' });
      }
      const { level, operation, vm } = flags;
      const log = readLog(daemonLogPath, flags.follow === true);
      const isWhole = level === undefined && operation === undefined && vm === undefined;
      await copyLog(cli, isWhole ? log : filterLines(log, { level, operation, vm }));
    });
}

async function* readLog(path: string, follow: boolean): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    let at = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, at);
      at += bytesRead;
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
      else if (!follow) return;
      else await sleep(FOLLOW_INTERVAL_MS);
      // A log that was emptied begins anew.
      if (follow && existsSync(path) && statSync(path).size < at) at = 0;
    }
  } finally {
    await file.close();
  }
}
