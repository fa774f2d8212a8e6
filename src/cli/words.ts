// What users type, before it is parsed: finds the command in it, and translates habits from other tools.
import { GROUPS, shortcutOf, TOP_VERBS } from './registry.ts';

/** Global switches that take a value in the next word. */
const WITH_VALUE = ['--context'];

/** @returns indexes of the words that are neither global switches nor their values, up to `--` */
function commandPlaces(words: readonly string[]): number[] {
  const end = words.indexOf('--');
  return words.flatMap((word, at) => {
    const isValue = WITH_VALUE.includes(words[at - 1] ?? '');
    return (end >= 0 && at >= end) || word.startsWith('-') || isValue ? [] : [at];
  });
}

/** @returns the words that can name the command */
export function commandWords(words: readonly string[]): string[] {
  return commandPlaces(words).map((at) => words[at] ?? '');
}

/** @returns index of the command; -1 if there is none */
export function commandPlace(words: readonly string[]): number {
  return commandPlaces(words)[0] ?? -1;
}

/**
 * Rewrites what the user typed into the words of the reference: `ps` is `vm ps`, `help vm create` and `vm help create` are `vm create
 * --help`, `kill -9` is `kill --signal=KILL`.
 */
export function canonicalWords(typed: readonly string[]): string[] {
  const words = withoutHelp(withoutHelp(typed, 0), 1);
  const [first = -1] = commandPlaces(words);
  const name = words[first] ?? '';
  const isKnown = Object.hasOwn(GROUPS, name) || TOP_VERBS.some((verb) => verb.names.includes(name));
  const long = isKnown ? undefined : shortcutOf(name);
  const full = long === undefined ? words : [...words.slice(0, first), ...long, ...words.slice(first + 1)];
  const [group, verb] = commandWords(full);
  return group === 'vm' && verb === 'kill' ? full.map(signalWord) : full;
}

/** Replaces the word `help` in the place of a command by `--help` at the end. */
function withoutHelp(words: readonly string[], place: 0 | 1): string[] {
  const places = commandPlaces(words);
  const at = places[place] ?? -1;
  const isAsked = words[at] === 'help' && (place === 0 || Object.hasOwn(GROUPS, words[places[0] ?? 0] ?? ''));
  return isAsked ? [...words.slice(0, at), ...words.slice(at + 1), '--help'] : [...words];
}

/** kill(1) takes signals as switches, by number and by name. */
function signalWord(word: string): string {
  const signal = /^-(\d{1,2}|[A-Z][A-Z0-9]{2,})$/.exec(word)?.[1];
  return signal === undefined ? word : `--signal=${signal}`;
}
