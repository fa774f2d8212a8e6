import { Option } from 'commander';
import { VERSION } from '../client/build-info.ts';
import type { Cli } from './cli.ts';
import { type AnyCommand, type CommandTree, CONTEXT_SWITCH, LongCommand } from './command.ts';
import { type Group, GROUPS, loadVerb, SHORTCUTS, shortcutOf, TOP_VERBS } from './registry.ts';
import { canonicalWords, commandWords } from './words.ts';

/**
 * Builds the part of the command tree that `argv` needs: the verb that it names; all verbs of the group if it names no known verb (for help
 * and suggestions); otherwise all groups by name.
 * @param argv without the program's own name
 */
export async function buildProgram(cli: Cli, argv: readonly string[]): Promise<AnyCommand> {
  const program = newProgram(cli);
  const tree = treeOf(cli);
  const [first = '', second = ''] = commandWords(argv);
  const top = TOP_VERBS.find((verb) => verb.names.includes(first));
  const group = Object.hasOwn(GROUPS, first) ? GROUPS[first] : undefined;
  if (top !== undefined) attach(cli, program, await loadVerb(cli, top, tree));
  else if (group !== undefined) await addGroup(cli, program, first, group, second);
  else {
    for (const [name, { description, hidden }] of Object.entries(GROUPS)) addEmptyGroup(program, name, description, hidden === true);
    for (const verb of TOP_VERBS) attach(cli, program, await loadVerb(cli, verb, tree));
  }
  return program;
}

function treeOf(cli: Cli): CommandTree {
  return { build: (words) => buildProgram(cli, words), canonical: canonicalWords, shortcuts: SHORTCUTS, shortcutOf };
}

function newProgram(cli: Cli): AnyCommand {
  const program = new LongCommand('banger')
    .description('Persistent, isolated Linux machines on your own computer.')
    .usage('[noun] <verb> [options]')
    .version(VERSION, '-V, --version', 'print the version of this program')
    .option('--debug', 'show where an error comes from (also BANGER_DEBUG=1)')
    .option('--no-color', 'no colours (also NO_COLOR=1)')
    .option('--plain', 'words instead of symbols, bars and spinners, for screen readers (also BANGER_PLAIN=1)')
    .option('--no-input', 'never ask: fail instead, and name the switch that answers (also BANGER_NO_INPUT=1)')
    .option(...CONTEXT_SWITCH)
    .exitOverride()
    .enablePositionalOptions()
    .showSuggestionAfterError(false)
    .configureOutput({
      writeOut: (text) => void cli.stdout.write(text),
      writeErr: (text) => void cli.stderr.write(text),
      // run.ts reports usage errors in the form of all other errors.
      outputError: () => undefined,
      getOutHelpWidth: () => cli.stdout.columns ?? 100,
      getErrHelpWidth: () => cli.stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      `\nWithout a noun, verbs are about machines (\`banger ps\` is \`banger vm ps\`):\n${foldWords(SHORTCUTS)}\n\nExamples:\n  banger create web\n  banger ssh web\n  banger exec web -- uname -a\n  banger delete web\n\n\`banger help exit-codes\` lists the exit codes.`,
    );
  hearContext(cli, program);
  return program;
}

/** @returns the words in lines that fit every terminal */
function foldWords(words: readonly string[]): string {
  return words
    .join(', ')
    .replaceAll(/(.{1,74})(?: |$)/g, '  $1\n')
    .trimEnd();
}

/** commander reports an option while it parses, before the action runs. */
function hearContext(cli: Cli, command: AnyCommand): void {
  command.on('option:context', (name: string) => cli.useContext(name));
}

function addEmptyGroup(program: AnyCommand, name: string, description: string, hidden: boolean): AnyCommand {
  return program.command(name, { hidden }).description(description).helpCommand(false).enablePositionalOptions();
}

async function addGroup(cli: Cli, program: AnyCommand, name: string, group: Group, verbName: string): Promise<void> {
  const command = addEmptyGroup(program, name, group.description, group.hidden === true);
  for (const flags of ['--debug', '--no-color', '--plain', '--no-input', CONTEXT_SWITCH[0]])
    command.addOption(new Option(flags).hideHelp());
  hearContext(cli, command);
  const tree = treeOf(cli);
  const named = group.verbs.find((verb) => verb.names.includes(verbName));
  for (const verb of named === undefined ? group.verbs : [named]) attach(cli, command, await loadVerb(cli, verb, tree));
}

/** addCommand does not pass on the settings that command() passes on: exitOverride and the output. */
function attach(cli: Cli, parent: AnyCommand, child: AnyCommand): void {
  parent.addCommand(child);
  inherit(cli, child, parent);
}

function inherit(cli: Cli, child: AnyCommand, parent: AnyCommand): void {
  child.copyInheritedSettings(parent);
  hearContext(cli, child);
  for (const below of child.commands) inherit(cli, below, child);
}

/**
 * Every command with its words, for help, reference and tests. It loads all commands, so no command that does work should call it.
 * Commands below a verb (`vm forward list`) come after it.
 */
export async function allCommands(cli: Cli): Promise<{ words: string[]; command: AnyCommand; isHidden: boolean }[]> {
  const tree = treeOf(cli);
  const groups = Object.entries(GROUPS).map(([name, group]) => ({ words: [name], verbs: group.verbs, isHidden: group.hidden === true }));
  const found: { words: string[]; command: AnyCommand; isHidden: boolean }[] = [];
  const add = (words: string[], command: AnyCommand, isHidden: boolean): void => {
    found.push({ words, command, isHidden });
    for (const child of command.commands) add([...words, child.name()], child, isHidden);
  };
  for (const { words, verbs, isHidden } of [...groups, { words: [], verbs: TOP_VERBS, isHidden: false }]) {
    for (const each of verbs) add([...words, each.names[0]], await loadVerb(cli, each, tree), isHidden);
  }
  return found;
}
