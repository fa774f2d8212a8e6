// commander at run time, the inferred types of its sibling package at compile time only.
import { Argument as BaseArgument, Command as BaseCommand, Option as BaseOption } from 'commander';
import type { Argument, Command, Option } from '@commander-js/extra-typings';

export type AnyCommand = BaseCommand;

/** All commands, for the one that completes the others. */
export type CommandTree = {
  /** @returns just so much of the tree as the words need */
  build(words: readonly string[]): Promise<AnyCommand>;
  /** @returns the words with the noun that they lack */
  canonical(words: readonly string[]): readonly string[];
  /** Words that need no noun before them. */
  shortcuts: readonly string[];
  /** @returns the words that a shortcut stands for */
  shortcutOf(word: string): readonly string[] | undefined;
};

/** commander hands words over as arguments of one call, of which there may be about a hundred thousand. */
const WORDS_PARSED = 10_000;

/** A command that takes as many words as the kernel does; options are among the first of them. */
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

/** The switch that says whose daemon a command line is about. */
export const CONTEXT_SWITCH = [
  '--context <context>',
  'context whose daemon to use, see `banger context list` (also BANGER_CONTEXT)',
] as const;

const examples = new WeakMap<object, readonly string[]>();

/** @returns the examples that a command was declared with, whole command lines; lines with # are remarks */
export function examplesOf(command: AnyCommand): readonly string[] {
  return examples.get(command) ?? [];
}

/**
 * A command as every one of ours is: the switches that work everywhere, and examples at the end of its help.
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

/** @returns an option that can be given choices, a default or a conflict before it is added */
export function newOption<Usage extends string>(flags: Usage, description: string): Option<Usage> {
  return new BaseOption(flags, description);
}

/** @returns an argument that can be given choices before it is added */
export function newArgument<Usage extends string>(usage: Usage, description: string): Argument<Usage> {
  return new BaseArgument(usage, description);
}

/** Collects an option that may be given several times. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
