import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { BangerError } from '../../../model/errors.ts';
import { readVmReference } from '../../../model/name.ts';
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
      for (const side of [from, to]) if (side.kind === 'guest') refuseUser(side.vm);
      if (from.kind === 'guest') {
        const { copyOut } = await import('../../copy-out.ts');
        await copyOut(cli, from, to);
      } else if (to.kind === 'guest') {
        const { copyIn } = await import('../../copy-in.ts');
        await copyIn(cli, from, to);
      }
    });
}

/** Files of another user than root would be made with the wrong owner. @throws INVALID_INPUT */
function refuseUser(vm: string): void {
  const { user, name } = readVmReference(vm);
  if (user === undefined || user === 'root') return;
  throw new BangerError('INVALID_INPUT', `vm cp works as root in the guest, not as ${user}`, {
    remedy: `copy as ${user} over ssh, once \`banger ssh-config --install\` was run: scp FILE ${user}@${name}.vm:PATH`,
  });
}
