// Reads the words of `vm ssh` as ssh(1) reads its own: switches before and after the destination, then a command.
import { BangerError } from '../model/errors.ts';

/** As in ssh(1): letters without a value, and letters with one. */
const ONLY_FLAGS = /^[46AaCfGgKkMNnqsTtVvXxYy]*$/;
const VALUE_SWITCH = /(?<=.)[BbcDEeFIiJLlmOoPpQRSWw]/;

export type SshWords = {
  /** Each switch is one word, and each value is a word of its own. */
  options: string[];
  /** `[user@]name`; undefined if the user named none. */
  destination: string | undefined;
  command: string[];
};

/**
 * @param hasDashes whether `--` stood before all words, so that none of them is a switch
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
