import { formatDuration } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import type { Health } from '../../../api/schemas.ts';
import { newCommand } from '../../command.ts';
import { type Facts, printOne, showing } from '../../output.ts';
import { namedOrSole, SOLE_NAME } from '../../sole-vm.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('health', "show the health of a virtual machine's guest; exits with 1 if the guest agent does not answer", [
    'banger vm health web',
    "banger vm health web --format '{{.agent}}'",
  ]).argument('[name]', SOLE_NAME);
  return showing(command).action(async (typed, flags) => {
    const name = await namedOrSole(cli, typed);
    const found = await cli.api().health(name);
    if (found.agent !== 'ok') cli.exitCode = 1;
    await printOne(cli, flags, found, { name: ({ vm }) => vm, facts: factsOf });
  });
}

function clockText(offsetMs: number): string {
  return offsetMs === 0 ? "the host's" : `${Math.abs(offsetMs)} ms ${offsetMs < 0 ? 'behind' : 'ahead of'} the host's`;
}

function factsOf(found: Health): Facts {
  return [
    ['vm', found.vm],
    ['state', found.state],
    ['guest agent', found.agent],
    ['init', found.init],
    ['problem', found.problem],
    ['uptime', found.uptimeMs === null ? null : formatDuration(found.uptimeMs)],
    ['clock', found.clockOffsetMs === null ? null : clockText(found.clockOffsetMs)],
  ];
}
