import type { DaemonServices } from '../../../src/daemon/services.ts';
import type { Vm } from '../../../src/model/vm.ts';
import type { VmState } from '../../../src/model/vm-state.ts';

/** Puts a VM's record into a state that its present state does not lead to, as a killed daemon may have left it. */
export function forceState({ vms }: Pick<DaemonServices, 'vms'>, id: string, state: VmState, change: Partial<Vm> = {}): void {
  const vm = vms.records.find(id);
  if (vm === undefined) throw new Error(`there is no VM ${id}`);
  vms.records.remove(id);
  vms.records.insert({ ...vm, ...change, state });
}
