import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { BangerError } from '../../../model/errors.ts';
import { readVmReference } from '../../../model/reference.ts';
import { reportInOrder } from '../../targets.ts';
import type { CopyPlan, CopySide } from '../../../client/copy-sides.ts';
import { createCopyProgress } from '../../copy-progress.ts';
import { planCopies } from '../../copy-spec.ts';
import { tellWait } from '../../terminal.ts';

export function declareCommand(cli: Cli) {
  return newCommand('cp', 'copy files and directories to and from a virtual machine, as cp -r does, with modes and times', [
    'banger vm cp ./app.conf web:/etc/app.conf',
    'banger vm cp web:/var/log ./logs',
    'banger vm cp app.js package.json web:/srv/app',
    'banger vm cp - web:/root/notes.txt < notes.txt',
  ])
    .usage('[options] <source>... <target>')
    .argument('<path...>', 'local path or NAME:/path; - is stdin as the source, stdout as the target')
    .option('-a, --archive', 'keep numeric owners, setuid bits, access lists and file capabilities')
    .option('-q, --quiet', 'hide progress, but not what is left out')
    .option('-r, --recursive', 'no effect: directories are always copied')
    .option('-p, --preserve', 'no effect: modes and times are always kept')
    .action(async (paths, flags) => {
      const plans = planCopies(paths);
      for (const side of plans.flatMap(({ from, to }) => [from, to])) if (side.kind === 'guest') refuseUser(side.vm);
      // In turn, because two sources may have the same name.
      let previous: Promise<void> = Promise.resolve();
      const copies = plans.map((plan) => {
        previous = previous.catch(() => undefined).then(() => copyShown(cli, plan, flags));
        return previous;
      });
      await reportInOrder(cli, copies, () => undefined);
    });
}

type CopyFlags = { archive?: boolean | undefined; quiet?: boolean | undefined };

async function copyShown(cli: Cli, plan: CopyPlan, { archive = false, quiet = false }: CopyFlags): Promise<void> {
  const { copy } = await import('../../../client/copy.ts');
  const progress = createCopyProgress(cli, nameOf(plan.from), quiet);
  const listener = { ...progress, note: (text: string) => progress.note(`banger: ${text}`) };
  const vm = [plan.from, plan.to].find((side) => side.kind === 'guest')?.vm ?? '';
  try {
    const input = plan.from.kind === 'stream' ? { input: cli.stdin as AsyncIterable<Uint8Array> } : {};
    const streams = { ...input, output: cli.stdout };
    await copy({ api: cli.api(), caller: cli }, plan, { archive, ...streams, onWait: tellWait(cli, vm), listener });
  } finally {
    progress.end();
  }
}

function nameOf(side: CopySide): string {
  return side.kind === 'stream' ? 'stdin' : side.path;
}

/** Files would belong to root instead of the user. @throws INVALID_INPUT */
function refuseUser(vm: string): void {
  const { user, name } = readVmReference(vm);
  if (user === undefined || user === 'root') return;
  throw new BangerError('INVALID_INPUT', `vm cp works as root in the guest, not as ${user}`, {
    remedy: `run \`banger ssh-config --install\` once, then copy as ${user}: scp FILE ${user}@${name}.vm:PATH`,
  });
}
