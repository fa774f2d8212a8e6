import { BangerError } from '../../../model/errors.ts';
import { BUILD, VERSION } from '../../build-info.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';

export function declareCommand(cli: Cli) {
  return newCommand('version', 'show the versions of this program and of the daemon, if it runs', ['banger version -o json'])
    .addOption(outputOption())
    .action(async (flags) => {
      const client = { version: VERSION, build: BUILD };
      const daemon = await daemonVersion(cli);
      if (flags.output === 'json') return cli.print(JSON.stringify({ client, daemon }, null, 2));
      cli.print(`client  ${VERSION} (build ${BUILD})`);
      cli.print(daemon === null ? 'daemon  not running' : `daemon  ${daemon.version} (build ${daemon.build})`);
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
