import { BangerError } from '../../../model/errors.ts';
import { BUILD, VERSION } from '../../../client/build-info.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { printOne, showing } from '../../output.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('version', 'show the versions of this program and of the daemon, if it runs', [
    'banger version',
    "banger version --format '{{.client.version}}'",
  ]);
  return showing(command, 'the version of this program only').action(async (flags) => {
    const versions = { client: { version: VERSION, build: BUILD }, daemon: await daemonVersion(cli) };
    await printOne(cli, flags, versions, {
      name: ({ client }) => client.version,
      lines: ({ client, daemon }) => [
        `client  ${client.version} (build ${client.build})`,
        daemon === null ? 'daemon  not running' : `daemon  ${daemon.version} (build ${daemon.build})`,
      ],
    });
  });
}

async function daemonVersion(cli: Cli): Promise<{ version: string; build: string } | null> {
  try {
    const { version: found, build } = await cli.runningApi().daemon();
    return { version: found, build };
  } catch (error) {
    if (error instanceof BangerError && error.code === 'DAEMON_UNREACHABLE') return null;
    throw error;
  }
}
