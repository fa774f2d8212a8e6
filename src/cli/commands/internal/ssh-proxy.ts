import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { runSession } from '../../exec-session.ts';

export function declareCommand(cli: Cli) {
  return newCommand('ssh-proxy', 'connect stdin and stdout with sshd in a virtual machine; a ProxyCommand for ssh', [
    'ssh -o ProxyCommand="banger internal ssh-proxy web" web',
  ])
    .argument('<name>', 'name, id or beginning of an id')
    .option('--port <port>', 'port in the guest instead of its own sshd')
    .action(async (name, flags) => {
      const socket = await cli.api().tunnel(name, flags.port === undefined ? 'ssh' : `127.0.0.1:${flags.port}`);
      const input = cli.stdin as AsyncIterable<Uint8Array>;
      const { status } = await runSession(socket, { input, output: cli.stdout, errors: cli.stderr, endsAtEof: true });
      cli.exitCode = status === 0 ? 0 : 1;
    });
}
