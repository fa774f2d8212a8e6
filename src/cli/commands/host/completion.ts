import type { Cli } from '../../cli.ts';
import { newArgument, newCommand } from '../../command.ts';
import { SCRIPTS, SHELLS } from '../../completion/scripts.ts';

export function declareCommand(cli: Cli) {
  return newCommand('completion', 'print the completion script of a shell', [
    'banger completion bash',
    '# bash, in ~/.bashrc:                 eval "$(banger completion bash)"',
    '# zsh, in ~/.zshrc after compinit:    eval "$(banger completion zsh)"',
    '# fish:                               banger completion fish > ~/.config/fish/completions/banger.fish',
  ])
    .addArgument(newArgument('<shell>', 'bash, zsh or fish').choices(SHELLS))
    .action((shell) => void cli.stdout.write(SCRIPTS[shell]));
}
