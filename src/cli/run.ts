import { CommanderError } from 'commander';
import type { Cli } from './cli.ts';
import type { AnyCommand } from './command.ts';
import { habitOfCommand, habitOfSurplus, habitOfSwitch } from './habits.ts';
import { buildProgram } from './program.ts';
import { GROUPS, SHORTCUTS } from './registry.ts';
import { canonicalWords, commandPlace } from './words.ts';
import { nearest } from '../lib/nearest.ts';
import { exitCodeOf, exitCodesHelp, reportError } from './render/error.ts';
import { BangerError } from '../model/errors.ts';

/**
 * Runs one command line.
 * @param argv without interpreter and script
 * @returns the exit status
 */
export async function runCli(cli: Cli, argv: readonly string[]): Promise<number> {
  try {
    if (argv[0] === 'help' && argv[1] === 'exit-codes') {
      for (const line of exitCodesHelp()) cli.print(line);
      return 0;
    }
    const words = canonicalWords(argv);
    const program = await buildProgram(cli, words);
    cli.helpCommand = `${commandLine(follow(program, words).path)} --help`;
    refuseUnknown(program, words);
    try {
      await program.parseAsync(words, { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode === 0) return 0;
      // Help that is printed for a missing verb is the whole message.
      if (error.code === 'commander.help') return 2;
      throw usageError(error, program, words);
    }
    return cli.exitCode;
  } catch (error) {
    reportError(cli, error);
    return exitCodeOf(error);
  }
}

/**
 * If a word is unknown, commander shows the help of the part that it knows. A user who asks for help of `vm strat` means something else.
 * @throws USAGE
 */
function refuseUnknown(program: AnyCommand, words: readonly string[]): void {
  const { path, rest } = follow(program, words);
  const [unknown] = rest;
  const at = path.at(-1) ?? program;
  if (unknown === undefined || unknown.startsWith('-') || at.commands.length === 0 || at.registeredArguments.length > 0) return;
  const names = at
    .createHelp()
    .visibleCommands(at)
    .flatMap((child) => [child.name(), ...child.aliases()]);
  const near = nearest(unknown, path.length === 0 ? [...names, ...SHORTCUTS] : names);
  const nouns = Object.entries(GROUPS).filter(([, group]) => path.length === 0 && group.verbs.some((verb) => verb.names.includes(unknown)));
  const isFirst = path.length === 0 || (path.length === 1 && at.name() === 'vm');
  const habit = isFirst ? habitOfCommand(unknown) : undefined;
  const remedy = habit ?? (nouns[0] === undefined ? `${commandLine(path)} --help` : ['banger', nouns[0][0], ...words].join(' '));
  throw new BangerError(
    'USAGE',
    `unknown command '${unknown}'${near === undefined || habit !== undefined ? '' : `. Did you mean ${near}?`}`,
    { remedy },
  );
}

/** @returns the commands that the first words name, and the words after them */
function follow(program: AnyCommand, words: readonly string[]): { path: AnyCommand[]; rest: readonly string[] } {
  const path: AnyCommand[] = [];
  let at = commandPlace(words);
  for (; at >= 0 && at < words.length; at++) {
    const child = (path.at(-1) ?? program).commands.find((one) => one.name() === words[at] || one.aliases().includes(words[at] ?? ''));
    if (child === undefined) break;
    path.push(child);
  }
  return { path, rest: at < 0 ? [] : words.slice(at) };
}

function commandLine(path: readonly AnyCommand[]): string {
  return ['banger', ...path.map((command) => command.name())].join(' ');
}

/** Puts commander's sentence and its suggestion into banger's error form. */
function usageError(error: CommanderError, program: AnyCommand, words: readonly string[]): BangerError {
  const [sentence = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const { path } = follow(program, words);
  // commander compares switches with their dashes, and so finds --no-nat similar to --mount.
  const unknown = error.code === 'commander.unknownOption' ? /'(-[^']*)'/.exec(sentence)?.[1] : undefined;
  const command = path.map((one) => one.name()).join(' ');
  const habit = unknown === undefined ? undefined : habitOfSwitch(command, unknown);
  if (habit !== undefined && 'say' in habit) return new BangerError('USAGE', sentence, { remedy: habit.say });
  const near = unknown === undefined ? undefined : (habit?.instead ?? nearestSwitch(unknown, path.at(-1) ?? program));
  const hint = near === undefined ? rest.join(' ').replace(/^\(|\)$/g, '') : `Did you mean ${near}?`;
  const surplus = error.code === 'commander.excessArguments' ? habitOfSurplus(command) : undefined;
  return new BangerError('USAGE', hint === '' ? sentence : `${sentence}. ${hint}`, { remedy: surplus ?? `${commandLine(path)} --help` });
}

/** @returns the switch that the user meant, if it is a few edits away or begins with what they typed */
function nearestSwitch(typed: string, command: AnyCommand): string | undefined {
  const word = typed.replace(/^--?/, '').replace(/=.*/, '');
  const names = command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long }) => (typeof long === 'string' ? [long.slice(2)] : []));
  const found = nearest(word, names) ?? (word.length > 2 ? names.find((name) => name.startsWith(word)) : undefined);
  return found === undefined ? undefined : `--${found}`;
}
