import { vmNameOf } from '../../model/name.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmStore } from '../../store/vms.ts';
import { resolveReference } from '../resolve.ts';

/**
 * Finds the VM that a user means by name, id, or a prefix of its id; `dev@web.vm` is `web`. Whole names and ids are looked up, so that thousands of VMs cost no
 * more than one.
 * @throws NOT_FOUND, AMBIGUOUS_REFERENCE
 */
export function resolveVm(vms: Pick<VmStore, 'find' | 'findByName' | 'list'>, typed: string): Vm {
  const reference = vmNameOf(typed);
  return vms.findByName(reference) ?? vms.find(reference) ?? resolveReference('VM', vms.list(), reference);
}
