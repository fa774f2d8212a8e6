import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { loadContexts, saveContexts } from '../../../client/context-file.ts';
import { LOCAL_CONTEXT, parseHost } from '../../../client/endpoint.ts';

export function declareCommand(cli: Cli) {
  return newCommand('add', 'give the daemon of another machine a name', [
    'banger context add lab ssh://dev@lab.example.org',
    'banger context add lab ssh://lab.example.org:2222 --program /opt/banger/bin/banger',
  ])
    .argument('<context>', 'what it is called')
    .argument('<host>', 'ssh://[user@]host[:port], or unix:///path of a socket')
    .option('--program <path>', 'banger on that machine; default: found there')
    .option('--use', 'commands go there from now on')
    .action(async (name, host, flags) => {
      if (name === LOCAL_CONTEXT || !/^[\w][\w.-]{0,62}$/.test(name)) {
        throw new BangerError('INVALID_INPUT', `${JSON.stringify(name)} cannot name a context`, {
          remedy: 'take letters, digits, dots and dashes',
        });
      }
      parseHost(host, flags.program);
      const { current, contexts } = loadContexts(cli);
      if (Object.hasOwn(contexts, name)) {
        throw new BangerError('NAME_TAKEN', `there is a context ${name} already`, { remedy: `banger context remove ${name}` });
      }
      const added = { host, ...(flags.program === undefined ? {} : { program: flags.program }) };
      await saveContexts(cli, { current: flags.use === true ? name : current, contexts: { ...contexts, [name]: added } });
      cli.print(name);
      if (flags.use !== true) cli.note(`use it: banger context use ${name}`);
    });
}
