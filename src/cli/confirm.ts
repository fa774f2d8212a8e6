import { BangerError } from '../model/errors.ts';
import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';

/**
 * Asks before the command removes something, on a terminal only.
 * @param question `Delete`, `Remove`: what happens to `names`
 * @throws CANCELLED unless the user says yes; USAGE if banger may not ask (--no-input)
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
