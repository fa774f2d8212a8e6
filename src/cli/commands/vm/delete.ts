import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { progressOption } from '../../progress-option.ts';
import { BangerError } from '../../../model/errors.ts';
import { chooseTargets, runVerb, type Target } from '../../targets.ts';

export function declareCommand(cli: Cli) {
  return newCommand('delete', 'delete virtual machines with their disks, in whatever state they are', [
    'banger vm delete web db',
    'banger vm rm -f --all',
  ])
    .argument('[name...]', 'names, ids or beginnings of ids')
    .option('--all', 'every virtual machine')
    .option('-f, --force', 'do not ask (it is only asked on a terminal)')
    .option('-y, --yes', 'the same as --force')
    .addOption(progressOption())
    .action(async (names, flags) => {
      const targets = await chooseTargets(cli, names, flags.all === true);
      if (flags.force !== true && flags.yes !== true) await confirm(cli, targets);
      await runVerb(cli, targets, 'delete', { progress: flags.progress });
    });
}

/** @throws CANCELLED when the user on a terminal does not say yes */
async function confirm(cli: Cli, targets: readonly Target[]): Promise<void> {
  const names = targets.flatMap((target) => ('vm' in target ? [target.vm.name] : []));
  if (names.length === 0 || cli.stdin.isTTY !== true || cli.stderr.isTTY !== true) return;
  const { createInterface } = await import('node:readline/promises');
  const prompt = createInterface({ input: cli.stdin, output: cli.stderr });
  try {
    const closed = new Promise<string>((resolve) => prompt.once('close', () => resolve('')));
    const answer = await Promise.race([prompt.question(`Delete ${names.join(', ')} with all disks? [y/N] `), closed]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new BangerError('CANCELLED', 'nothing was deleted');
  } finally {
    prompt.close();
  }
}
