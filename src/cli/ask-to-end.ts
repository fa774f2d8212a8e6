// Stopping the daemon ends open sessions, so the CLI asks first.
import { createApi } from '../client/api.ts';
import { nameWork, openWork } from '../client/open-work.ts';
import { createSend } from '../client/send.ts';
import { isSet } from '../lib/is-set.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';
import { confirm } from './confirm.ts';

/**
 * On a terminal, asks whether open work may end. Elsewhere, refuses.
 * @throws CANCELLED, USAGE as `confirm`; BUSY where there is no terminal
 */
export async function askToEnd(cli: Cli, verb: 'stop' | 'restart'): Promise<void> {
  const work = await openWork(createApi(createSend(cli.directories().socketPath)));
  if (work.length === 0) return;
  const isTerminal = cli.stdin.isTTY === true && cli.stderr.isTTY === true;
  if (!isTerminal || isSet(cli.env['BANGER_NO_INPUT'])) {
    throw new BangerError('BUSY', `a ${verb} of the daemon ends open sessions: ${nameWork(work)}`, {
      remedy: `banger daemon ${verb} --yes`,
      details: { open: work.length },
    });
  }
  await confirm(cli, [nameWork(work)], 'End', 'the daemon goes on');
}
