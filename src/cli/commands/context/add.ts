import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { loadContexts, saveContexts } from '../../../client/context-file.ts';
import { LOCAL_CONTEXT, parseHost } from '../../../client/endpoint.ts';
import { given } from '../../../lib/given.ts';

export function declareCommand(cli: Cli) {
  return newCommand('add', 'give the daemon of another machine a name', [
    'banger context add lab ssh://dev@lab.example.org',
    'banger context add lab ssh://lab.example.org:2222 --program /opt/banger/bin/banger',
  ])
    .argument('<context>', 'name of the context')
    .argument('<host>', 'ssh://[user@]host[:port], or unix:///path of a socket')
    .option('--program <path>', 'path of banger on that machine (default: banger finds it)')
    .option('--use', 'make it the default for later commands')
    .action(async (name, host, flags) => {
      if (name === LOCAL_CONTEXT || !/^[\w][\w.-]{0,62}$/.test(name)) {
        throw new BangerError('INVALID_INPUT', `${JSON.stringify(name)} is not a valid name for a context`, {
          remedy: 'use letters, digits, dots and dashes',
        });
      }
      parseHost(host, flags.program);
      const { current, contexts } = loadContexts(cli);
      if (Object.hasOwn(contexts, name)) {
        throw new BangerError('NAME_TAKEN', `there is already a context ${name}`, { remedy: `banger context remove ${name}` });
      }
      const added = { host, ...given({ program: flags.program }) };
      await saveContexts(cli, { current: flags.use === true ? name : current, contexts: { ...contexts, [name]: added } });
      cli.print(name);
      if (flags.use !== true) cli.note(`use it: banger context use ${name}`);
    });
}
