import { existsSync } from 'node:fs';
import { BangerError } from '../../../model/errors.ts';
import { jsonEscaped } from '../../../lib/terminal-text.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { requireLocal } from '../../require-local.ts';
import { beginsOf, readLog } from '../../daemon-log.ts';
import { parseSince, tailOption } from '../../log-options.ts';
import { filterLines, LOG_LEVELS } from '../../log-filter.ts';
import { safeLog } from '../../render/text.ts';
import { copyLog } from '../vm/logs.ts';

export function declareCommand(cli: Cli) {
  return newCommand('logs', "print the daemon's log; works without a daemon", [
    'banger daemon logs -f --level warn',
    'banger daemon logs --tail 20',
    'banger daemon logs --since 1h',
    'banger daemon logs --operation 3f2a',
  ])
    .option('-f, --follow', 'print new lines as they come')
    .addOption(tailOption())
    .option('--since <time>', 'since a time, or a duration ago', parseSince)
    .addOption(newOption('--level <level>', 'this level and above (default: all)').choices(LOG_LEVELS))
    .option('--operation <id>', 'only of one operation, by id or the beginning of its id')
    .option('--vm <name>', 'only of one virtual machine')
    .action(async (flags) => {
      requireLocal(cli, 'daemon logs');
      const { daemonLogPath } = cli.directories();
      if (!existsSync(daemonLogPath)) {
        throw new BangerError('NOT_FOUND', `there is no log at ${daemonLogPath}`, { remedy: 'banger daemon start' });
      }
      const { level, operation, vm, since } = flags;
      const log = readLog(daemonLogPath, await beginsOf(daemonLogPath, flags.tail), flags.follow === true);
      const isWhole = level === undefined && operation === undefined && vm === undefined && since === undefined;
      await copyLog(cli, safeLog(isWhole ? log : filterLines(log, { level, operation, vm, since }), jsonEscaped));
    });
}
