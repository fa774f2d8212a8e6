import { CommanderError } from 'commander';
import type { Cli } from './cli.ts';
import type { AnyCommand } from './command.ts';
import { buildProgram } from './program.ts';
import { exitCodeOf, exitCodesHelp, reportError } from './render/error.ts';
import { BangerError } from '../model/errors.ts';

/**
 * Runs one command line to its end.
 * @param argv without interpreter and script
 * @returns the status to end with
 */
export async function runCli(cli: Cli, argv: readonly string[]): Promise<number> {
  try {
    if (argv[0] === 'help' && argv[1] === 'exit-codes') {
      for (const line of exitCodesHelp()) cli.print(line);
      return 0;
    }
    const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
    const program = await buildProgram(cli, words);
    try {
      await program.parseAsync(words, { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode === 0) return 0;
      // Help that was printed because a verb is missing is the whole message.
      if (error.code === 'commander.help') return 2;
      throw usageError(error, program, words);
    }
    return cli.exitCode;
  } catch (error) {
    reportError(cli, error);
    return exitCodeOf(error);
  }
}

/** Puts commander's sentence and its suggestion into the form that all our errors have. */
function usageError(error: CommanderError, program: AnyCommand, words: readonly string[]): BangerError {
  const [sentence = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const path = ['banger'];
  let command: AnyCommand | undefined = program;
  for (const word of words) {
    command = command.commands.find((child) => child.name() === word || child.aliases().includes(word));
    if (command === undefined) break;
    path.push(word);
  }
  const hint = rest.join(' ').replace(/^\(|\)$/g, '');
  return new BangerError('USAGE', hint === '' ? sentence : `${sentence}. ${hint}`, { remedy: `${path.join(' ')} --help` });
}
