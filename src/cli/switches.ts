// Switches that work everywhere, before and after the command: they stand for variables, which is also how children inherit them.
import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';
import { canonicalWords, commandPlace, commandWords } from './words.ts';

/** By switch: the variable that is set, and one that would say otherwise. */
const SWITCHES: Readonly<Record<string, { sets: string; unsets?: string }>> = {
  '--debug': { sets: 'BANGER_DEBUG' },
  '--plain': { sets: 'BANGER_PLAIN', unsets: 'FORCE_COLOR' },
  '--no-color': { sets: 'NO_COLOR', unsets: 'FORCE_COLOR' },
  '--no-input': { sets: 'BANGER_NO_INPUT' },
};

/** Commands whose words belong to a command in the guest from some place on. */
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
  // A screen reader reads colours as noise, where it reads them at all.
  if (result['BANGER_PLAIN'] !== undefined || isSet(env['BANGER_PLAIN'])) result['NO_COLOR'] = '1';
  return result;
}
