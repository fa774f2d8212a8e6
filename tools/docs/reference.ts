// The declarations of the CLI as plain values, from which the reference and the manual pages are made.
import type { Command } from 'commander';
import { createCli } from '../../src/cli/cli.ts';
import { examplesOf } from '../../src/cli/command.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { allCommands } from '../../src/cli/program.ts';
import { GROUPS, SHORTCUTS } from '../../src/cli/registry.ts';

/** A word or switch, and its meaning. */
export type Term = { term: string; text: string };

export type CommandPage = {
  /** Without `banger`. */
  words: readonly string[];
  description: string;
  usage: string;
  aliases: readonly string[];
  arguments: readonly Term[];
  options: readonly Term[];
  examples: readonly string[];
};

export type Reference = {
  shortcuts: readonly string[];
  groups: readonly Term[];
  globalOptions: readonly Term[];
  pages: readonly CommandPage[];
};

/** @returns everything that is not hidden, in the order of `banger --help` */
export async function readReference(): Promise<Reference> {
  const { stdin, stdout, stderr } = process;
  const cli = createCli({ env: {}, stdin, stdout, stderr, programPath: '/usr/bin/banger' });
  const program = await buildProgram(cli, []);
  const pages = (await allCommands(cli)).filter(({ isHidden }) => !isHidden).map(({ words, command }) => pageOf(words, command));
  const groups = Object.entries(GROUPS).filter(([, { hidden }]) => hidden !== true);
  return {
    shortcuts: SHORTCUTS,
    groups: groups.map(([term, { description }]) => ({ term, text: description })),
    globalOptions: optionsOf(program),
    pages,
  };
}

function pageOf(words: readonly string[], command: Command): CommandPage {
  const help = command.createHelp();
  return {
    words,
    description: command.description(),
    usage: `banger ${words.join(' ')} ${command.usage()}`,
    aliases: command.aliases(),
    arguments: command.registeredArguments.map((one) => ({ term: help.argumentTerm(one), text: help.argumentDescription(one) })),
    options: optionsOf(command),
    examples: examplesOf(command),
  };
}

function optionsOf(command: Command): Term[] {
  const help = command.createHelp();
  const own = help.visibleOptions(command).filter((option) => option.long !== '--help');
  return own.map((option) => ({ term: help.optionTerm(option), text: help.optionDescription(option) }));
}
