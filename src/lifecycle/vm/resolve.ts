import { nearest } from '../../lib/nearest.ts';
import { BangerError } from '../../model/errors.ts';
import type { Vm } from '../../model/vm.ts';

const HEX_PREFIX = /^[0-9a-f]{4,32}$/;

/**
 * Finds the VM that a user means by name, id, or a prefix of its id of at least 4 digits. A name wins over a prefix.
 * @throws NOT_FOUND, AMBIGUOUS_REFERENCE
 */
export function resolveVm(vms: readonly Vm[], reference: string): Vm {
  const exact = vms.find((vm) => vm.name === reference) ?? vms.find((vm) => vm.id === reference);
  if (exact !== undefined) return exact;
  const matches = HEX_PREFIX.test(reference) ? vms.filter((vm) => vm.id.startsWith(reference)) : [];
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return only;
  if (matches.length > 1) {
    throw new BangerError('AMBIGUOUS_REFERENCE', `${reference} could be ${matches.map((vm) => vm.name).join(' or ')}`, {
      remedy: 'use the name, or more digits of the id',
      details: { matches: matches.map((vm) => vm.name) },
    });
  }
  const near = nearest(
    reference,
    vms.map((vm) => vm.name),
  );
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw new BangerError('NOT_FOUND', `there is no VM ${JSON.stringify(reference.slice(0, 80))}${hint}`, {
    remedy: 'banger vm list',
    details: { reference: reference.slice(0, 80) },
  });
}
