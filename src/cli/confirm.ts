import { BangerError } from '../model/errors.ts';
import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';

/**
 * Asks on a terminal, and nowhere else, before things go.
 * @param question `Delete`, `Remove`: what will be done to `names`
 * @throws CANCELLED when the user does not say yes; USAGE when nobody may be asked (--no-input)
 */
export async function confirm(cli: Cli, names: readonly string[], question: string, refusal: string, rest = ''): Promise<void> {
  if (names.length === 0 || cli.stdin.isTTY !== true || cli.stderr.isTTY !== true) return;
  if (isSet(cli.env['BANGER_NO_INPUT'])) {
    throw new BangerError('USAGE', `${question} ${names.join(', ')}${rest}? banger must not ask here`, { remedy: 'add --yes' });
  }
  const { createInterface } = await import('node:readline/promises');
  const prompt = createInterface({ input: cli.stdin, output: cli.stderr });
  try {
    const closed = new Promise<string>((resolve) => prompt.once('close', () => resolve('')));
    const answer = await Promise.race([prompt.question(`${question} ${names.join(', ')}${rest}? [y/N] `), closed]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new BangerError('CANCELLED', refusal);
  } finally {
    prompt.close();
  }
}
