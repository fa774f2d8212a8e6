import type { Vm } from '../../model/vm.ts';
import { resolveReference } from '../resolve.ts';

/**
 * Finds the VM that a user means by name, id, or a prefix of its id.
 * @throws NOT_FOUND, AMBIGUOUS_REFERENCE
 */
export function resolveVm(vms: readonly Vm[], reference: string): Vm {
  return resolveReference('VM', vms, reference);
}
