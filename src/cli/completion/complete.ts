// Candidates for the word at the cursor, from the declarations of the commands. Only the verb of the command line is loaded.
import type { Argument, Option } from 'commander';
import type { Cli } from '../cli.ts';
import type { AnyCommand, CommandTree } from '../command.ts';
import { type Kind, kindOfArgument, kindOfOption } from './kinds.ts';
import { type Candidate, liveCandidates } from './live.ts';

export type Completions = {
  candidates: Candidate[];
  /** File names are candidates, too. */
  files: boolean;
  /** The word continues after the candidate. */
  noSpace: boolean;
};

const NOTHING: Completions = { candidates: [], files: false, noSpace: false };

/**
 * @param words without the program's own name; the last word is the word under the cursor
 * @returns candidates that begin with that word
 */
export async function complete(cli: Cli, tree: CommandTree, words: readonly string[]): Promise<Completions> {
  const before = tree.canonical(words.slice(0, -1));
  const typed = words.at(-1) ?? '';
  const place = placeOf(await tree.build(before), before);
  if (place === undefined) return NOTHING;
  const found = await completionsAt(cli, { ...place, tree }, typed);
  return { ...found, candidates: found.candidates.filter(({ value }) => value.startsWith(typed)) };
}

type Place = {
  /** The words of the command. */
  path: string[];
  command: AnyCommand;
  positional: string[];
  /** Switches that the command line already has. */
  given: ReadonlySet<Option>;
  /** The switch whose value comes next. */
  pending: Option | undefined;
  /** No switch can follow: after `--`, or in the words of a command in the guest. */
  noSwitches: boolean;
};

/** @returns the position in the command tree after these words; undefined if they name no command */
function placeOf(program: AnyCommand, words: readonly string[]): Place | undefined {
  const given = new Set<Option>();
  const place: Place = { path: [], command: program, positional: [], given, pending: undefined, noSwitches: false };
  for (const word of words) {
    if (place.pending !== undefined) place.pending = undefined;
    else if (word === '--') place.noSwitches = true;
    else if (word.startsWith('-') && !place.noSwitches) {
      const { option, value } = switchOf(place.command, word);
      if (option !== undefined) given.add(option);
      if (option?.required === true && value === undefined) place.pending = option;
    } else if (!enter(place, word)) return undefined;
  }
  return place;
}

/** Goes to the subcommand, or counts an argument. @returns false if neither fits */
function enter(place: Place, word: string): boolean {
  const { command, positional } = place;
  const child = positional.length > 0 ? undefined : command.commands.find((one) => one.name() === word || one.aliases().includes(word));
  if (child !== undefined) {
    place.command = child;
    place.path.push(child.name());
    return true;
  }
  positional.push(word);
  place.noSwitches ||= argumentAt(place)?.name() === 'command';
  return command.registeredArguments.length > 0;
}

function argumentAt({ command, positional }: Place): Argument | undefined {
  const last = command.registeredArguments.at(-1);
  return command.registeredArguments[positional.length] ?? (last?.variadic === true ? last : undefined);
}

/** @returns the switch of a word such as --output=json, -ojson or -it, and the value in the word */
function switchOf(command: AnyCommand, word: string): { option: Option | undefined; value: string | undefined } {
  const equals = word.indexOf('=');
  const isLong = word.startsWith('--');
  const name = isLong ? (equals < 0 ? word : word.slice(0, equals)) : word.slice(0, 2);
  const option = command.options.find((one) => one.long === name || one.short === name);
  if (isLong) return { option, value: equals < 0 ? undefined : word.slice(equals + 1) };
  if (word.length === 2) return { option, value: undefined };
  if (option?.required !== true) return switchOf(command, `-${word.slice(2)}`);
  return { option, value: word.slice(2) };
}

async function completionsAt(cli: Cli, place: Place & { tree: CommandTree }, typed: string): Promise<Completions> {
  const { command, pending, path } = place;
  if (pending !== undefined) return valuesOf(cli, kindOfOption(path, pending), pending.argChoices, place, typed);
  if (typed.startsWith('-') && !place.noSwitches) {
    const equals = typed.indexOf('=');
    if (equals < 0) return switches(place);
    const { option } = switchOf(command, typed);
    if (option?.required !== true) return NOTHING;
    const found = await valuesOf(cli, kindOfOption(path, option), option.argChoices, place, typed.slice(equals + 1));
    return { ...found, candidates: found.candidates.map((one) => ({ ...one, value: typed.slice(0, equals + 1) + one.value })) };
  }
  const children = place.positional.length > 0 ? [] : [...subcommands(command), ...(path.length === 0 ? shortcuts(place.tree) : [])];
  const argument = argumentAt(place);
  if (argument === undefined) return { ...NOTHING, candidates: children };
  const found = await valuesOf(cli, kindOfArgument(path, argument), argument.argChoices, place, typed);
  return { ...found, candidates: [...children, ...found.candidates] };
}

function subcommands(command: AnyCommand): Candidate[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((child) => ({ value: child.name(), description: child.description() }));
}

/** Most command lines are about VMs: their verbs may stand without the noun. */
function shortcuts({ shortcutOf, shortcuts: words }: CommandTree): Candidate[] {
  return words.map((value) => ({ value, description: `the same as ${shortcutOf(value)?.join(' ') ?? ''}` }));
}

function switches({ command, given }: Place): Completions {
  const visible = command.createHelp().visibleOptions(command);
  // An option that collects values may appear again.
  const fresh = visible.filter((option) => !given.has(option) || option.parseArg !== undefined);
  return { ...NOTHING, candidates: fresh.map((option) => ({ value: option.long ?? option.short ?? '', description: option.description })) };
}

async function valuesOf(cli: Cli, kind: Kind, choices: readonly string[] | undefined, place: Place, typed: string): Promise<Completions> {
  if (choices !== undefined) return { ...NOTHING, candidates: choices.map((value) => ({ value, description: '' })) };
  if (kind === 'file') return { ...NOTHING, files: true };
  if (kind === 'copy') {
    // The path behind the colon is in the guest.
    if (typed.includes(':')) return NOTHING;
    const vms = await liveCandidates(cli, 'vm');
    const sides = vms.map(({ value, description }) => ({ value: `${value}:`, description }));
    return { candidates: sides, files: true, noSpace: sides.some(({ value }) => value.startsWith(typed)) };
  }
  if (kind === 'none') return NOTHING;
  const found = await liveCandidates(cli, kind);
  return { ...NOTHING, candidates: found.filter(({ value }) => !place.positional.includes(value)) };
}
