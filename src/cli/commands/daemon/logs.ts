import { createReadStream, existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../../../model/errors.ts';
import { jsonEscaped } from '../../../lib/terminal-text.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, newOption } from '../../command.ts';
import { requireLocal } from '../../require-local.ts';
import { beginOfTail } from '../../../lib/log-tail.ts';
import { parseSince, tailOption } from '../../log-options.ts';
import { filterLines, LOG_LEVELS } from '../../log-filter.ts';
import { safeLog } from '../../render/text.ts';
import { copyLog } from '../vm/logs.ts';

const FOLLOW_INTERVAL_MS = 200;

export function declareCommand(cli: Cli) {
  return newCommand('logs', "print the daemon's log; works without a daemon", [
    'banger daemon logs -f --level warn',
    'banger daemon logs --tail 20',
    'banger daemon logs --since 1h',
    'banger daemon logs --operation 3f2a',
  ])
    .option('-f, --follow', 'go on as it grows')
    .addOption(tailOption())
    .option('--since <time>', 'from a time on, or from so long ago', parseSince)
    .addOption(newOption('--level <level>', 'this level and above (default: all that there is)').choices(LOG_LEVELS))
    .option('--operation <id>', 'of one operation, by its id or the beginning of it')
    .option('--vm <name>', 'of one virtual machine')
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

type Begins = { older: number; newer: number };

/** @returns from which byte on the log before this one, and this one, are read */
async function beginsOf(path: string, tail: number | undefined): Promise<Begins> {
  if (tail === undefined) return { older: 0, newer: 0 };
  const newer = await beginOfTail(path, tail);
  return { older: (await beginOfTail(`${path}.1`, newer.missing)).begin, newer: newer.begin };
}

/**
 * What there is, the log before this one first; then, when asked, what is added. The daemon empties its log when it is full, and keeps
 * what was in it beside it: there a reader goes on that had not come to the end.
 */
async function* readLog(path: string, begins: Begins, follow: boolean): AsyncGenerator<Buffer> {
  yield* readFrom(`${path}.1`, begins.older);
  let at = begins.newer;
  for (;;) {
    for await (const chunk of readFrom(path, at)) {
      at += chunk.length;
      yield chunk;
    }
    if (!follow) return;
    await sleep(FOLLOW_INTERVAL_MS);
    if (sizeOf(path) >= at) continue;
    yield* readFrom(`${path}.1`, at);
    at = 0;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** @returns the bytes of a file from a place on; none when it is not there */
async function* readFrom(path: string, from: number): AsyncGenerator<Buffer> {
  if (sizeOf(path) <= from) return;
  for await (const chunk of createReadStream(path, { start: from })) yield chunk as Buffer;
}
