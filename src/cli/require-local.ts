import { endpointName, LOCAL_CONTEXT, sshWords } from '../client/endpoint.ts';
import { shellWord } from '../lib/shell-word.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';

/** @throws UNSUPPORTED if the command line is about another machine, where this command would have to run */
export function requireLocal(cli: Cli, command: string): void {
  const endpoint = cli.endpoint();
  if (endpoint.kind === 'local') return;
  const there =
    endpoint.kind === 'ssh' ? [...sshWords(endpoint), endpoint.program, ...command.split(' ')].map(shellWord).join(' ') : undefined;
  throw new BangerError('UNSUPPORTED', `${command} works only on this machine, and commands go to ${endpointName(endpoint)}`, {
    remedy: there ?? `BANGER_HOST=${LOCAL_CONTEXT} banger ${command}`,
  });
}
