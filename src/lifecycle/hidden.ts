import type { LifecycleServices } from '../context/services.ts';
import { makeContext } from '../context/vm-context.ts';
import { messageOf } from '../lib/message-of.ts';
import { isHidden } from '../model/hidden.ts';
import type { Vm } from '../model/vm.ts';
import { removeVm } from './vm/delete-steps.ts';

/** @returns the machines that banger keeps for itself, the oldest first */
export function hiddenVms({ vms: { records } }: Pick<LifecycleServices, 'vms'>): Vm[] {
  return records.listAll().filter(isHidden);
}

/**
 * Removes such a machine, with all that it has. Waits for whoever makes or uses it, and leaves one alone that has become a user's VM
 * meanwhile. What cannot be removed now, the next daemon removes.
 */
export async function discard(services: LifecycleServices, { id }: Pick<Vm, 'id'>): Promise<void> {
  const signal = new AbortController().signal;
  await services.vms.locks.hold(id, signal, async () => {
    const vm = services.vms.records.find(id);
    if (vm !== undefined && isHidden(vm)) await discardHeld(services, vm);
  });
}

/** The same, for a caller that holds its lock. */
export async function discardHeld(services: LifecycleServices, vm: Vm): Promise<void> {
  try {
    await removeVm({ context: makeContext(services, vm), journal: () => undefined, signal: new AbortController().signal });
  } catch (error) {
    services.world.warn("one of banger's own machines could not be removed", { vm: vm.name, reason: messageOf(error) });
  }
}
