import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { planCopy } from '../../copy-spec.ts';

export function declareCommand(cli: Cli) {
  return newCommand('cp', 'copy files and directories to and from a virtual machine; modes are kept', [
    'banger vm cp ./app.conf web:/etc/app.conf',
    'banger vm cp web:/var/log ./logs',
    'banger vm cp - web:/root/notes.txt < notes.txt',
  ])
    .argument('<source>', 'path, NAME:/path, or - for stdin')
    .argument('<target>', 'path, NAME:/path, or - for stdout')
    .action(async (source, target) => {
      const { from, to } = planCopy(source, target);
      if (from.kind === 'guest') {
        const { copyOut } = await import('../../copy-out.ts');
        await copyOut(cli, from, to);
      } else if (to.kind === 'guest') {
        const { copyIn } = await import('../../copy-in.ts');
        await copyIn(cli, from, to);
      }
    });
}
