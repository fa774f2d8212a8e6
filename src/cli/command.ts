// commander at run time; the inferred types of its sibling package at compile time only.
import { Argument as BaseArgument, Command as BaseCommand, Option as BaseOption } from 'commander';
import type { Argument, Command, Option } from '@commander-js/extra-typings';

export type AnyCommand = BaseCommand;

/** All commands, for the command that completes the others. */
export type CommandTree = {
  /** @returns the part of the command tree that these words need */
  build(words: readonly string[]): Promise<AnyCommand>;
  /** @returns the words, with the noun that they leave out */
  canonical(words: readonly string[]): readonly string[];
  /** The words that may stand without a noun. */
  shortcuts: readonly string[];
  /** @returns the full words of a shortcut */
  shortcutOf(word: string): readonly string[] | undefined;
};

/** commander passes words as arguments of one call, which takes about a hundred thousand. */
const WORDS_PARSED = 10_000;

/** A command that takes as many words as the kernel does; options are among the first words. */
export class LongCommand extends BaseCommand {
  override createCommand(name?: string): BaseCommand {
    return new LongCommand(name);
  }

  override parseOptions(words: string[]): { operands: string[]; unknown: string[] } {
    const { operands, unknown } = super.parseOptions(words.slice(0, WORDS_PARSED));
    const rest = words.slice(WORDS_PARSED);
    return unknown.length > 0 ? { operands, unknown: unknown.concat(rest) } : { operands: operands.concat(rest), unknown };
  }
}

/** The switch that chooses the daemon. */
export const CONTEXT_SWITCH = [
  '--context <context>',
  'context whose daemon to use, see `banger context list` (also BANGER_CONTEXT)',
] as const;

const examples = new WeakMap<object, readonly string[]>();

/** @returns the examples of a command's declaration, whole command lines; lines with # are remarks */
export function examplesOf(command: AnyCommand): readonly string[] {
  return examples.get(command) ?? [];
}

/**
 * Makes a command with what every command has: the global switches, and examples at the end of its help.
 * @param lines examples, whole command lines
 */
export function newCommand(name: string, description: string, lines: readonly string[]): Command {
  const command = new LongCommand(name)
    .description(description)
    .addOption(new BaseOption('--debug', 'show where an error comes from').hideHelp())
    .addOption(new BaseOption('--no-color', 'no colours').hideHelp())
    .addOption(new BaseOption('--plain', 'words instead of signs, bars and spinners').hideHelp())
    .addOption(new BaseOption('--no-input', 'never ask').hideHelp())
    .addOption(new BaseOption(...CONTEXT_SWITCH).hideHelp())
    .addHelpText('after', `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
  examples.set(command, lines);
  return command as unknown as Command;
}

/** @returns an option, to which the caller can add choices, a default or a conflict */
export function newOption<Usage extends string>(flags: Usage, description: string): Option<Usage> {
  return new BaseOption(flags, description);
}

/** @returns an argument, to which the caller can add choices */
export function newArgument<Usage extends string>(usage: Usage, description: string): Argument<Usage> {
  return new BaseArgument(usage, description);
}

/** Collects an option that may appear several times. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
