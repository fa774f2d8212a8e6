// The words of `vm ssh` as ssh(1) reads its own: switches before the destination and behind it, then a command.
import { BangerError } from '../model/errors.ts';

/** By ssh(1): letters that stand alone, and letters with a value. */
const ONLY_FLAGS = /^[46AaCfGgKkMNnqsTtVvXxYy]*$/;
const VALUE_SWITCH = /(?<=.)[BbcDEeFIiJLlmOoPpQRSWw]/;

export type SshWords = {
  /** Each word whole, and each value a word of its own. */
  options: string[];
  /** `[user@]name`; undefined when none is given. */
  destination: string | undefined;
  command: string[];
};

/**
 * @param hasDashes whether a `--` stood before all words, which were then no switches
 * @throws USAGE for a switch that ssh does not have
 */
export function readSshWords(words: readonly string[], hasDashes: boolean): SshWords {
  if (hasDashes) return { options: [], destination: undefined, command: [...words] };
  const before = takeOptions(words);
  const [destination, ...rest] = before.rest;
  if (destination === '--') return { options: before.options, destination: undefined, command: rest };
  const behind = takeOptions(rest);
  const command = behind.rest[0] === '--' ? behind.rest.slice(1) : behind.rest;
  return { options: [...before.options, ...behind.options], destination, command };
}

function takeOptions(words: readonly string[]): { options: string[]; rest: string[] } {
  const options: string[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!/^-[^-]/.test(word) && !/^--./.test(word)) break;
    const valueAt = word.search(VALUE_SWITCH);
    const flags = valueAt < 0 ? word.slice(1) : word.slice(1, valueAt);
    if (!ONLY_FLAGS.test(flags)) throw unknown(word);
    if (flags !== '') options.push(`-${flags}`);
    if (valueAt < 0) continue;
    const value = word.slice(valueAt + 1) || words[++at];
    if (value === undefined) throw new BangerError('USAGE', `ssh's switch -${word[valueAt]} needs a value`, { remedy: 'man ssh' });
    options.push(`-${word[valueAt]}`, value);
  }
  return { options, rest: words.slice(at) };
}

function unknown(word: string): BangerError {
  return new BangerError('USAGE', `unknown option ${JSON.stringify(word.slice(0, 80))}: neither banger's nor ssh's`, {
    remedy: 'put a command that begins with a dash after --',
  });
}
