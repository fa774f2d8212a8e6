// Global switches, before and after the command. They set environment variables, so child processes inherit them.
import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';
import { canonicalWords, commandPlace, commandWords } from './words.ts';

/** By switch: the variable to set, and a variable that would contradict it. */
const SWITCHES: Readonly<Record<string, { sets: string; unsets?: string }>> = {
  '--debug': { sets: 'BANGER_DEBUG' },
  '--plain': { sets: 'BANGER_PLAIN', unsets: 'FORCE_COLOR' },
  '--no-color': { sets: 'NO_COLOR', unsets: 'FORCE_COLOR' },
  '--no-input': { sets: 'BANGER_NO_INPUT' },
};

/** Commands that take the words of a command in the guest from some word on. */
const PASSES_ON = ['exec', 'ssh', 'shell'];

/**
 * @param typed without interpreter and script
 * @returns variables to set (`1`) and to remove (undefined)
 */
export function environmentOfSwitches(typed: readonly string[], env: Cli['env']): Record<string, string | undefined> {
  const argv = canonicalWords(typed);
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  const heard = PASSES_ON.includes(commandWords(own)[1] ?? '') ? own.slice(0, commandPlace(own)) : own;
  const result: Record<string, string | undefined> = {};
  for (const word of heard) {
    const meant = Object.hasOwn(SWITCHES, word) ? SWITCHES[word] : undefined;
    if (meant === undefined) continue;
    if (meant.unsets !== undefined) result[meant.unsets] = undefined;
    result[meant.sets] = '1';
  }
  // A screen reader reads colours aloud as noise, if at all.
  if (result['BANGER_PLAIN'] !== undefined || isSet(env['BANGER_PLAIN'])) result['NO_COLOR'] = '1';
  return result;
}
