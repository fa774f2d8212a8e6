import type { Cli } from '../../cli.ts';
import { type CommandTree, newCommand } from '../../command.ts';
import { complete } from '../../completion/complete.ts';
import { splitLine } from '../../completion/words.ts';
import { safeLine } from '../../../lib/terminal-text.ts';

export function declareCommand(cli: Cli, tree: CommandTree) {
  return newCommand('complete', 'print what can stand at the cursor; used by the scripts of banger completion', [
    "banger internal complete -- vm start ''",
    "banger internal complete --line 'banger vm st'",
  ])
    .argument('[word...]', 'words after the name of the program, the one under the cursor last')
    .option('--line <text>', 'the whole line up to the cursor instead, with quotes as they are')
    .option('--fragment <text>', 'end of the last word that the shell replaces (default: the whole word)')
    .action(async (words, flags) => {
      const given = flags.line === undefined ? words : splitLine(flags.line).slice(1);
      const { candidates, files, noSpace } = await complete(cli, tree, given);
      const word = given.at(-1) ?? '';
      const kept = flags.fragment !== undefined && word.endsWith(flags.fragment) ? word.length - flags.fragment.length : 0;
      for (const { value, description } of candidates) cli.print(`${safeLine(value.slice(kept))}\t${safeLine(description)}`);
      cli.print(`:${[...(files ? ['files'] : []), ...(noSpace ? ['nospace'] : [])].join(',')}`);
    });
}
