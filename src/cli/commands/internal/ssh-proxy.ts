import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { runSession } from '../../../client/exec-session.ts';
import { bareName, learnHostKey } from '../../../client/known-hosts.ts';
import { tellWait } from '../../terminal.ts';

export function declareCommand(cli: Cli) {
  return newCommand('ssh-proxy', 'connect stdin and stdout with sshd in a virtual machine; a ProxyCommand for ssh', [
    'ssh -o ProxyCommand="banger internal ssh-proxy web" web',
  ])
    .argument('<name>', 'name, id or start of an id; may end in .vm')
    .option('--port <port>', 'port in the guest instead of its own sshd')
    .option('--known-hosts <file>', 'write the key of the host there first; the name of the file is the name of the host')
    .action(async (host, flags) => {
      const name = bareName(host);
      // ssh reads the file once the server has answered, so it must exist before the first byte.
      if (flags.knownHosts !== undefined) await learn(cli, name, flags.knownHosts);
      const socket = await cli.api().tunnel(name, flags.port === undefined ? 'ssh' : `127.0.0.1:${flags.port}`, tellWait(cli, name));
      const input = cli.stdin as AsyncIterable<Uint8Array>;
      const { status } = await runSession(socket, { input, output: cli.stdout, errors: cli.stderr, endsAtEof: true });
      cli.exitCode = status === 0 ? 0 : 1;
    });
}

async function learn(cli: Cli, name: string, path: string): Promise<void> {
  const [{ hostPublicKey }, vms] = await Promise.all([cli.api().sshAccess(name), cli.api().listVms()]);
  await learnHostKey(
    path,
    hostPublicKey,
    vms.map((vm) => vm.name),
  );
}
