import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { BangerError } from '../../../model/errors.ts';
import { readVmReference } from '../../../model/name.ts';
import { planCopy } from '../../copy-spec.ts';

export function declareCommand(cli: Cli) {
  return newCommand('cp', 'copy files and directories to and from a virtual machine, as cp -r does; modes and times are kept', [
    'banger vm cp ./app.conf web:/etc/app.conf',
    'banger vm cp web:/var/log ./logs',
    'banger vm cp - web:/root/notes.txt < notes.txt',
  ])
    .argument('<source>', 'path, NAME:/path, or - for stdin')
    .argument('<target>', 'path, NAME:/path, or - for stdout')
    .option('-r, --recursive', 'accepted as cp has it: directories are copied whole in any case')
    .option('-a, --archive', 'keep owners by their numbers, setuid bits and file capabilities')
    .action(async (source, target, flags) => {
      const plan = planCopy(source, target);
      for (const side of [plan.from, plan.to]) if (side.kind === 'guest') refuseUser(side.vm);
      const { copy } = await import('../../copy.ts');
      await copy(cli, plan, { archive: flags.archive === true });
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
