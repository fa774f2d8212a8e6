// Hosts with a single VM. Commands that only look, start or log in need no name there. Commands that end or change a VM do.
import type { Command } from '@commander-js/extra-typings';
import type { VmView } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import { among, findExactly } from '../model/reference.ts';
import type { Cli } from './cli.ts';

/** The help of an argument that may be left out. */
export const SOLE_NAME = 'name, id or start of an id (default: the only one there is)';

/**
 * @returns the only VM; says on stderr that the command uses it
 * @throws NOT_FOUND if there is no VM, USAGE if there are several
 */
export function soleVm(cli: Cli, vms: readonly VmView[]): VmView {
  const [only] = vms;
  if (only === undefined) throw new BangerError('NOT_FOUND', 'there is no VM', { remedy: 'banger vm create' });
  if (vms.length > 1) {
    const names = vms.slice(0, 5).map(({ name }) => name);
    throw new BangerError('USAGE', `no VM given, and there are ${vms.length}`, {
      remedy: `name one of ${names.join(', ')}${vms.length > names.length ? ' …' : ''}`,
    });
  }
  cli.note(`taking ${only.name}, the only VM`);
  return only;
}

/** @returns the named VM, or the only one. @throws as soleVm */
export async function namedOrSole(cli: Cli, name: string | undefined): Promise<string> {
  return name ?? soleVm(cli, await cli.api().listVms()).name;
}

/**
 * Splits words into name and command: `web -- ls`, `web ls` and, with a single VM, `-- ls`.
 * @param begins whether `--` stood before all of the words; commander has removed it
 */
export async function nameAndCommand(
  cli: Cli,
  words: readonly string[],
  begins: boolean,
): Promise<{ name: string; command: readonly string[] }> {
  const [name, ...rest] = words;
  const named = { name: name ?? '', command: rest[0] === '--' ? rest.slice(1) : rest };
  if (name !== undefined && !begins) return named;
  const vms = await cli.api().listVms();
  // As in docker, the name may stand behind `--`, too.
  if (name !== undefined && findExactly('VM', among(vms), name) !== undefined) return named;
  return { name: soleVm(cli, vms).name, command: words };
}

/** @returns whether `--` stands before the first word that is no switch */
export function beginsWithDashes(command: Pick<Command, 'args'> & { parent: unknown }): boolean {
  let root = command as { parent?: unknown; rawArgs?: readonly string[] };
  while (typeof root.parent === 'object' && root.parent !== null) root = root.parent;
  const raw = root.rawArgs ?? [];
  const at = raw.indexOf('--');
  return at >= 0 && raw.length - at - 1 === command.args.length;
}
